// Two servers of one installation, each a process of its own on one database: what is taken away at one stops at the other
// within five seconds, in real time, while it is in use.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Instance } from './instance.ts';
import { startTwoServers, type TwoServers } from './two-servers.ts';

const STOPS_WITHIN_MS = 5_000;
const TRIED_EVERY_MS = 50;
type Headers = Record<string, string>;

let servers: TwoServers;
let a: Instance;
let b: Instance;
before(async () => {
  servers = await startTwoServers();
  ({ a, b } = servers);
});
after(() => servers?.stop());

async function asked(
  instance: Instance,
  method: string,
  path: string,
  headers: Headers,
  body?: object,
): Promise<Response> {
  return fetch(`${instance.url}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}
const bearer = (secret: string): Headers => ({ authorization: `Bearer ${secret}` });

/** Uses it at the second server all the time, takes it away at the first, and tells after how long it stopped. */
async function stopsAfterMs(headers: Headers, takeAway: () => Promise<Response>): Promise<number> {
  const use = async (): Promise<number> => (await asked(b, 'GET', '/api/settings', headers)).status;
  assert.equal(await use(), 200);
  assert.equal(await use(), 200, 'remembered now');
  const taken = await takeAway();
  assert.ok(taken.ok, await taken.text());
  const takenMs = performance.now();
  while (performance.now() - takenMs < 2 * STOPS_WITHIN_MS) {
    const status = await use();
    if (status === 401) return performance.now() - takenMs;
    assert.equal(status, 200);
    await new Promise((resolve) => setTimeout(resolve, TRIED_EVERY_MS));
  }
  return Number.POSITIVE_INFINITY;
}

for (const kind of ['an API key', 'a token', 'the tokens of a disabled service account'] as const)
  test(`${kind} that is taken away at one server stops at the other within five seconds`, async (t) => {
    const admin = bearer(a.firstRun.apiKey);
    const made = async (path: string): Promise<Record<string, string>> =>
      (await (await asked(a, 'POST', path, admin, { name: 'shared', scopes: ['traces:read'] })).json()) as Record<
        string,
        string
      >;
    let tookMs: number;
    if (kind === 'an API key') {
      const { keyId, apiKey = '' } = await made('/api/keys');
      tookMs = await stopsAfterMs(bearer(apiKey), () => asked(a, 'DELETE', `/api/keys/${keyId}`, admin));
    } else {
      const { serviceAccountId, username, password } = await made('/api/service-accounts');
      const login = await asked(b, 'POST', '/api/v1/auth/login', {}, { username, password });
      const { token = '' } = (await login.json()) as { token?: string };
      tookMs = await stopsAfterMs(bearer(token), () =>
        kind === 'a token'
          ? asked(a, 'POST', '/api/v1/auth/logout', bearer(token))
          : asked(a, 'DELETE', `/api/service-accounts/${serviceAccountId}`, admin),
      );
    }
    t.diagnostic(`stopped after ${Math.round(tookMs)} ms`);
    assert.ok(tookMs < STOPS_WITHIN_MS, `${tookMs} ms`);
  });
