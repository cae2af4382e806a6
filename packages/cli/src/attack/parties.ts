// The two tenants of a run, with data that can be told apart: a word of its own in everything that a tenant has.
import { randomBytes } from 'node:crypto';
import { send, type Answer } from './shot.ts';

export interface Party {
  tenantId: string;
  apiKey: string;
  /** Stands in what the tenant keeps and nowhere else. */
  word: string;
  /** Ids of what it has, by the name of the parameter that takes them. */
  ids: Record<string, string>;
  /** Session cookies by role. */
  cookies: Record<string, string>;
  /** Who they are; the first is the owner. */
  people: Newcomer['people'];
}

export interface Newcomer {
  tenantId: string;
  apiKey: string;
  people: readonly { role: string; email: string; password: string }[];
}

/** Gives a tenant a trace, a key, a photograph's registration, and sessions of its people. @throws Error when one fails. */
export async function furnish(at: { http: string; otlp: string }, newcomer: Newcomer): Promise<Party> {
  const word = `w${randomBytes(8).toString('hex')}`;
  const { tenantId, apiKey, people } = newcomer;
  const credentials = { authorization: `Bearer ${apiKey}` };
  const trace = traceOf(word);
  const send_ = (path: string, body: object, origin = at.http): Promise<Answer> =>
    send(origin, {
      method: 'POST',
      path,
      headers: { ...credentials, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  need(await send_('/v1/traces', trace.body, at.otlp), 'the trace');
  const key = need(await send_('/api/keys', { name: word, scopes: ['traces:read'] }), 'the key');
  const photo = need(
    await send_('/api/v1/photos/register', { contentHash: randomBytes(32).toString('hex'), deviceModel: word }),
    'the photograph',
  );
  const cookies: Record<string, string> = {};
  for (const person of people) cookies[person.role] = await sessionOf(at.http, person);
  const ids = {
    tenantId,
    traceId: trace.traceId,
    spanId: trace.spanId,
    keyId: String(key['keyId']),
    photoId: String(photo['photoId']),
  };
  return { tenantId, apiKey, word, ids, cookies, people };
}

/** Logs in and gives the session's cookie. @throws Error when the login is refused. */
export async function sessionOf(
  origin: string,
  { email, password }: { email: string; password: string },
): Promise<string> {
  const answer = await send(origin, {
    method: 'POST',
    path: '/auth/login',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  need(answer, `the login of ${email}`);
  return cookieOf(answer);
}

/** `name=value` of the cookie that an answer sets; empty without one. */
export function cookieOf({ headers }: Answer): string {
  return String(headers['set-cookie']?.[0] ?? '').split(';')[0] ?? '';
}

function need(answer: Answer, what: string): Record<string, unknown> {
  if (answer.status < 200 || answer.status > 299) {
    throw new Error(`Expected ${what} to be made but received ${answer.status}: ${answer.text.slice(0, 300)}`);
  }
  return JSON.parse(answer.text === '' ? '{}' : answer.text) as Record<string, unknown>;
}

function text(key: string, stringValue: string): object {
  return { key, value: { stringValue } };
}

/** An OTLP trace of one model call with the word in its name, its messages and its attributes. */
export function traceOf(word: string): { traceId: string; spanId: string; body: object } {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  const endNs = BigInt(Date.now()) * 1_000_000n;
  const span = {
    traceId,
    spanId,
    name: `chat ${word}`,
    kind: 3,
    startTimeUnixNano: String(endNs - 1_000_000n),
    endTimeUnixNano: String(endNs),
    attributes: [
      text('gen_ai.operation.name', 'chat'),
      text('gen_ai.request.model', 'gpt-4o-mini'),
      text('user.id', word),
      text('gen_ai.input.messages', JSON.stringify([{ role: 'user', parts: [{ type: 'text', content: word }] }])),
    ],
  };
  const resource = { attributes: [text('service.name', `svc-${word}`)] };
  return { traceId, spanId, body: { resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] } };
}
