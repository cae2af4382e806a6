// What a stolen copy of the database tells: a thousand canaries go in by every way there is, then every row is dumped
// and searched for each of them in every spelling. What stands in clear by design is planted too, and must be found.
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createSecretKey, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { attributes } from '../../../telemetry/test/wire.ts';
import { kekPath, readKek } from '../data-folder.ts';
import { kekFromBytes } from '../keys/kek.ts';
import { unwrapPrivateKey, wrappingKeyFrom } from '../keys/signer/protocol.ts';
import { dumped } from '../storage/backup/dump.ts';
import { startInstance, type Instance } from './instance.ts';
import { found, type Needle } from './haystack.ts';
import { openPopulation, type Population } from './population.ts';

const PHOTO = new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url);
const SPANS = 60;
const PEOPLE = 60;
const KEYS = 30;
const SESSIONS = 20;
const PHOTOS = 50;

const needles: Needle[] = [];
/** Planted in clear: the search must find them. */
const controls: Needle[] = [];
let instance: Instance;
let population: Population;

const hide = (place: string, text: string): string => {
  needles.push({ bytes: Buffer.from(text), place: `${place} ${text}` });
  return text;
};
/** Letters and digits that no rule of redaction takes for a secret. */
const canary = (place: string): string => hide(place, `nest${randomBytes(8).toString('hex')}wren`);
const control = (place: string): string => {
  const text = `open${randomBytes(8).toString('hex')}door`;
  controls.push({ bytes: Buffer.from(text), place });
  return text;
};

before(async () => {
  instance = await startInstance();
  population = await openPopulation(instance.dataDir);
});
after(async () => {
  await population.close();
  await instance.stop();
});

const authorization = (): Record<string, string> => ({ authorization: `Bearer ${instance.firstRun.apiKey}` });

async function send(url: string, path: string, body: object, headers = authorization()): Promise<Response> {
  const answer = await fetch(new URL(path, url), {
    method: 'POST',
    body: body instanceof FormData ? body : JSON.stringify(body),
    headers: { ...headers, ...(body instanceof FormData ? {} : { 'content-type': 'application/json' }) },
  });
  assert.ok(answer.ok, `${path}: ${answer.status} ${answer.ok ? '' : await answer.text()}`);
  return answer;
}

const message = (role: string, content: string): string =>
  JSON.stringify([{ role, parts: [{ type: 'text', content }] }]);

function span(traceId: string): object {
  const nowNs = String(BigInt(Date.now()) * 1_000_000n);
  return {
    traceId,
    spanId: randomBytes(8).toString('hex'),
    name: `chat ${control('name of a span')}`,
    startTimeUnixNano: nowNs,
    endTimeUnixNano: nowNs,
    status: { code: 2, message: `it said ${canary('status message')}` },
    attributes: attributes({
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': `gpt-4o ${control('model')}`,
      'gen_ai.system_instructions': message('system', `be kind ${canary('system prompt')}`),
      'gen_ai.input.messages': message('user', `where is ${canary('prompt')}?`),
      'gen_ai.output.messages': message('assistant', `it is ${canary('answer')}`),
      'gen_ai.tool.call.arguments': JSON.stringify({ city: canary('tool arguments') }),
      'gen_ai.tool.call.result': JSON.stringify({ weather: canary('tool result') }),
      'enduser.note': canary('attribute'),
      'user.id': control('user id'),
    }),
    events: [
      {
        name: 'exception',
        timeUnixNano: nowNs,
        attributes: attributes({ 'exception.message': canary('exception'), 'exception.stacktrace': canary('stack') }),
      },
    ],
    links: [{ traceId, spanId: randomBytes(8).toString('hex'), attributes: attributes({ why: canary('link') }) }],
  };
}

function logRecord(traceId: string, i: number): object {
  const base = { timeUnixNano: String(BigInt(Date.now()) * 1_000_000n), severityNumber: 9 };
  if (i % 2 === 0)
    return {
      ...base,
      ...(i % 4 === 0 && { traceId }),
      body: { stringValue: `log ${canary('log body')}` },
      attributes: attributes({ note: canary('log attribute') }),
    };
  return {
    ...base,
    traceId,
    spanId: randomBytes(8).toString('hex'),
    eventName: 'gen_ai.evaluation.result',
    attributes: attributes({
      'gen_ai.evaluation.name': `quality ${i}`,
      'gen_ai.evaluation.score.value': 0.5,
      'gen_ai.evaluation.explanation': canary('score explanation'),
    }),
  };
}

test('telemetry takes its canaries', async () => {
  const resource = { attributes: attributes({ 'service.name': control('service'), 'host.note': canary('resource') }) };
  const scope = { name: 'scope', attributes: attributes({ note: canary('scope attribute') }) };
  const ids = Array.from({ length: SPANS }, () => randomBytes(16).toString('hex'));
  await send(instance.otlpUrl, '/v1/traces', {
    resourceSpans: [{ resource, scopeSpans: [{ scope, spans: ids.map(span) }] }],
  });
  const logRecords = ids.map(logRecord);
  await send(instance.otlpUrl, '/v1/logs', { resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords }] }] });
});

test('people, their sessions and keys take theirs', async () => {
  const { admin, serviceAccount, apiKey } = instance.firstRun;
  for (const text of [admin.email, admin.password, serviceAccount.password, apiKey]) hide('first run', text);
  for (let i = 0; i < PEOPLE; i++)
    await population.addPerson(instance.firstRun.tenant.id, {
      email: `${canary('e-mail of a person')}@Example.org`.toLowerCase(),
      name: `Dr ${canary('name of a person')}`,
    });
  for (let i = 0; i < KEYS; i++) {
    const made = await send(instance.url, '/api/keys', { name: control('name of a key'), scopes: ['traces:read'] });
    hide('API key', ((await made.json()) as { apiKey: string }).apiKey);
  }
  const token = await send(instance.url, '/api/v1/auth/login', serviceAccount);
  hide('token', ((await token.json()) as { token: string }).token);
  let cookie = await cookieOf(
    await send(instance.url, '/auth/login', { email: admin.email, password: admin.password }),
  );
  const headers = (): Record<string, string> => ({ cookie, origin: instance.url });
  const passwords = { currentPassword: admin.password, newPassword: canary('password') };
  cookie = await cookieOf(await send(instance.url, '/auth/change-password', passwords, headers()));
  for (let i = 0; i < SESSIONS; i++) cookie = await cookieOf(await send(instance.url, '/auth/refresh', {}, headers()));
});

async function cookieOf(answer: Response): Promise<string> {
  const [pair = ''] = (answer.headers.get('set-cookie') ?? '').split(';');
  hide('session cookie', pair.slice(pair.indexOf('=') + 1));
  return pair;
}

/** Thirteen digits behind the point: no two places are alike. */
function degrees(limit: number, place: string): number {
  const value = Number((randomInt(1, limit) + randomInt(2 ** 47) / 2 ** 47).toFixed(13));
  hide(place, String(value));
  const binary = Buffer.alloc(8);
  binary.writeDoubleBE(value);
  needles.push({ bytes: binary, place: `${place} as a double` });
  return value;
}

const registration = (bytes: Uint8Array): object => ({
  contentHash: createHash('sha256').update(bytes).digest('hex'),
  deviceModel: `Camera ${canary('device')}`,
  latitude: degrees(90, 'latitude'),
  longitude: degrees(180, 'longitude'),
});

test('photographs take theirs', async () => {
  for (let i = 0; i < PHOTOS; i++) await send(instance.url, '/api/v1/photos/register', registration(randomBytes(32)));
  const image = await sharp(await readFile(PHOTO))
    .resize(640)
    .withExif({
      IFD0: { Artist: canary('EXIF artist'), ImageDescription: canary('EXIF description') },
      IFD3: { GPSAreaInformation: canary('EXIF place') },
    })
    .jpeg({ quality: 90 })
    .toBuffer();
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(image)]), `${canary('file name')}.jpg`);
  const about = { title: canary('title'), author: canary('author'), keepGps: true };
  form.set('request', JSON.stringify({ ...registration(image), ...about }));
  await send(instance.url, '/api/v1/photos/protect', form);
});

/** Every key of the installation in clear: opened here as a thief with the KEK would. */
async function keysInClear(): Promise<void> {
  const bytes = await readKek(kekPath(instance.dataDir, undefined));
  assert.ok(bytes);
  needles.push({ bytes, place: 'KEK' });
  const kek = kekFromBytes(bytes);
  const wrapping = createSecretKey(wrappingKeyFrom(bytes));
  const rows = await population.asOwner(async (sql) => ({
    installation: await sql.query<{ use: string; wrapped: Buffer }>(
      `select 'installation|' || name || '|' || version as use, wrapped from installation_keys`,
    ),
    tenants: await sql.query<{ use: string; wrapped: Buffer }>(
      `select 'tdek|' || tenant_id || '|' || version as use, wrapped from tenant_keys`,
    ),
    signed: await sql.query<{ place: string; wrapped: Buffer }>(
      `select 'token key' as place, wrapped_private as wrapped from signing_keys
        union all select purpose, wrapped_private from photo_keys where wrapped_private is not null
        union all select 'log key', wrapped_private from log_key`,
    ),
  }));
  for (const { use, wrapped } of [...rows.installation.rows, ...rows.tenants.rows])
    needles.push({ bytes: kek.unwrap(use, wrapped), place: use });
  for (const { place, wrapped } of rows.signed.rows) {
    const key = createPrivateKey({ key: unwrapPrivateKey(wrapping, wrapped).pkcs8, format: 'der', type: 'pkcs8' });
    const { d = '' } = key.export({ format: 'jwk' });
    // the secret number alone stands in every form of a key: PEM, DER, JWK
    needles.push({ bytes: Buffer.from(d, 'base64url'), place });
    needles.push({ bytes: key.export({ format: 'der', type: 'pkcs8' }), place: `${place} whole` });
  }
  assert.ok(rows.installation.rows.length >= 5 && rows.tenants.rows.length >= 1 && rows.signed.rows.length >= 4);
}

test('a dump of every table holds none of them, in no spelling, and what is open by design is there', async (t) => {
  await keysInClear();
  assert.ok(needles.length >= 1_000, `${needles.length} canaries`);
  assert.equal(new Set(needles.map(({ bytes }) => bytes.toString('hex'))).size, needles.length, 'each is another one');
  let tables = 0;
  const pieces: Buffer[] = [];
  for await (const piece of dumped(population.ownerPool, (end) => (tables = end.tables))) pieces.push(piece);
  const dump = Buffer.concat(pieces);
  t.diagnostic(`${needles.length} canaries, ${tables} tables, ${dump.length} bytes`);
  assert.ok(tables > 25);
  const open = found(controls, dump);
  assert.deepEqual(
    controls.filter(({ place }) => !open.has(place)).map(({ place }) => place),
    [],
    'controls',
  );
  assert.deepEqual([...found(needles, dump)], []);
});

test('the search finds a canary in each spelling', () => {
  const needle = { bytes: Buffer.from(`nest${randomUUID()}`), place: 'here' };
  const text = `{"who":"${needle.bytes.toString()}"}`;
  const buried = [
    Buffer.from(text),
    Buffer.from(text, 'utf16le'),
    Buffer.from(text, 'utf16le').swap16(),
    Buffer.from(Buffer.from(text).toString('hex')),
    ...['', 'a', 'ab', 'abc'].map((pad) => Buffer.from(Buffer.from(pad + text).toString('base64'))),
  ];
  for (const bytes of buried) assert.ok(found([needle], Buffer.concat([randomBytes(100), bytes])).has('here'));
  assert.equal(found([needle], randomBytes(10_000)).size, 0);
});
