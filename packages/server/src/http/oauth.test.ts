// Client credentials, with a client library of others and by hand.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import * as oauth from 'oauth4webapi';
import { createPasswords } from '../access/passwords.ts';
import { insertServiceAccount } from '../storage/postgres/service-accounts.ts';
import { openHouse, PUBLIC_URL } from '../test/house.ts';

const house = await openHouse({ limits: { loginFailuresPerNameAndSource: 4, loginFailuresPerSource: 1_000 } });
const { port } = await house.http.listen({ host: '127.0.0.1', port: 0 });
after(() => house.close());
const { ask, firstRun } = house;
const { username, password } = firstRun.serviceAccount;

/** The public address is not where the test listens. */
const toHouse = (url: string, init: RequestInit): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}${new URL(url).pathname}`, { ...init, headers: new Headers(init.headers) });
const options = { [oauth.customFetch]: toHouse as typeof fetch, [oauth.allowInsecureRequests]: true };

async function server(): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(PUBLIC_URL);
  const response = await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' });
  return oauth.processDiscoveryResponse(issuer, response);
}

for (const [name, authentication] of [
  ['HTTP Basic', oauth.ClientSecretBasic(password)],
  ['the form', oauth.ClientSecretPost(password)],
] as const) {
  test(`a client library gets a token by ${name}, narrowed to one verb, and the API takes it for that alone`, async () => {
    const as = await server();
    const client = { client_id: username };
    const parameters = new URLSearchParams({ scope: 'photos:verify' });
    const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, parameters, options);
    const { access_token, scope, token_type, expires_in } = await oauth.processClientCredentialsResponse(
      as,
      client,
      response,
    );
    assert.deepEqual([scope, token_type.toLowerCase(), expires_in], ['photos:verify', 'bearer', 900]);
    const headers = { authorization: `Bearer ${access_token}` };
    const { scopes } = await house.access.tokens.authenticate(access_token);
    assert.deepEqual([...scopes], ['photos:verify']);
    assert.equal((await ask('GET', '/api/keys', { headers })).status, 403);
  });
}

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const post = (body: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}/oauth/token`, { method: 'POST', headers: { ...FORM, ...headers }, body });
const basic = (id: string, secret: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});
const secret = `client_id=${encodeURIComponent(username)}&client_secret=${encodeURIComponent(password)}`;
const grant = 'grant_type=client_credentials';

test('a scope that the account does not hold is invalid_scope, and one line of the audit log says denied', async () => {
  const tenantId = firstRun.tenant.id;
  const argon2id = await createPasswords().hash('a secret of a reader');
  await house.db.database.inTenant(tenantId, (sql) =>
    insertServiceAccount(sql, {
      tenantId,
      serviceAccountId: randomUUID(),
      username: 'reader',
      name: null,
      createdAt: new Date(),
      createdBy: null,
      expiresAt: null,
      argon2id,
      scopes: ['traces:read', 'photos:verify'],
    }),
  );
  const reader = basic('reader', 'a secret of a reader');
  const refused = await post(`${grant}&scope=traces:read+photos:protect`, reader);
  assert.deepEqual([refused.status, ((await refused.json()) as { error: string }).error], [400, 'invalid_scope']);
  const taken = await post(`${grant}&scope=traces:read`, reader);
  assert.equal(((await taken.json()) as { scope: string }).scope, 'traces:read');
  const { rows } = await house.db.database.inTenant(tenantId, (sql) =>
    sql.query<{ outcome: string }>(
      `select outcome from audit where action = 'token.issue' order by position desc limit 2`,
    ),
  );
  assert.deepEqual(
    rows.map(({ outcome }) => outcome),
    ['done', 'denied'],
  );
});

test('without scope the token holds what the account holds, and nobody may keep the answer', async () => {
  const response = await post(`${grant}&${secret}`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('cache-control'), 'no-store');
  const { scope } = (await response.json()) as { scope: string };
  assert.ok(scope.split(' ').length > 1, scope);
});

const REFUSALS: readonly (readonly [string, string, Record<string, string>, number, string])[] = [
  ['another grant', `grant_type=password&${secret}`, {}, 400, 'unsupported_grant_type'],
  ['no grant', secret, {}, 400, 'invalid_request'],
  ['a parameter twice', `${grant}&${grant}&${secret}`, {}, 400, 'invalid_request'],
  ['an unknown scope', `${grant}&${secret}&scope=root`, {}, 400, 'invalid_scope'],
  ['two blanks between scopes', `${grant}&${secret}&scope=photos:verify++traces:read`, {}, 400, 'invalid_scope'],
  ['both ways at once', `${grant}&${secret}`, basic(username, password), 400, 'invalid_request'],
  ['no client', grant, {}, 401, 'invalid_client'],
  ['a bearer token', grant, { authorization: 'Bearer abc' }, 401, 'invalid_client'],
  ['broken Basic', grant, { authorization: 'Basic %%%' }, 401, 'invalid_client'],
  ['broken escapes', grant, basic('a%ZZ', 'b'), 401, 'invalid_client'],
  ['JSON', '{}', { 'content-type': 'application/json' }, 415, 'invalid_request'],
  ['another origin', `${grant}&${secret}`, { origin: 'https://evil.example' }, 403, 'invalid_request'],
  ['too much', `${grant}&x=${'y'.repeat(9_000)}`, {}, 413, 'invalid_request'],
];
for (const [what, body, headers, status, error] of REFUSALS) {
  test(`${what} is ${error}`, async () => {
    const response = await post(body, headers);
    assert.deepEqual([response.status, ((await response.json()) as { error: string }).error], [status, error]);
    assert.equal(response.headers.get('cache-control'), 'no-store');
  });
}

test('a wrong secret is invalid_client in the words of HTTP Basic, and guessing is slowed down', async () => {
  const response = await post(grant, basic(username, 'wrong'));
  assert.equal(response.status, 401);
  assert.match(response.headers.get('www-authenticate') ?? '', /^Basic /);
  const { error_description } = (await response.json()) as { error_description: string };
  assert.match(error_description, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
  for (let i = 0; i < 4; i++) await post(grant, basic(username, `wrong ${i}`));
  const late = await post(grant, basic(username, password));
  assert.equal(late.status, 429);
  assert.ok(Number(late.headers.get('retry-after')) > 0);
  assert.equal(((await late.json()) as { error: string }).error, 'temporarily_unavailable');
});
