// Every declared route keeps its policy: asked without credentials, with bad ones, with too little, and by a stranger.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { SCOPES, type Scope } from '../access/principal.ts';
import { newApiKey } from '../access/api-key-text.ts';
import { openHouse } from '../test/house.ts';
import type { Route } from './route.ts';

const house = await openHouse();
after(() => house.close());
const { ask, routes, firstRun, access, db } = house;
const guarded = routes.filter(({ policy }) => policy.kind !== 'public');

const pathOf = ({ path }: Route, id: string = randomUUID()): string => path.replaceAll(/\{[^}]+\}/g, id);
const writes = ({ method }: Route): boolean => method !== 'GET';

async function refusalOf(route: Route, headers: Record<string, string>, path = pathOf(route)): Promise<string> {
  const response = await ask(route.method, path, { headers, ...(writes(route) ? { body: {} } : {}) });
  const body = (await response.json()) as Record<string, unknown>;
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  assert.equal(body['traceId'], response.headers.get('x-request-id'));
  return `${response.status} ${String(body['code'])}`;
}

async function keyWith(scopes: readonly Scope[]): Promise<Record<string, string>> {
  const maker = await access.apiKeys.authenticate(firstRun.apiKey);
  const { apiKey } = await access.apiKeys.create(maker, 'test', {
    name: 'test',
    scopes,
    environment: 'test',
    expiresAt: null,
  });
  return { authorization: `Bearer ${apiKey}` };
}

test('there are guarded and public routes, and every public one says why', () => {
  assert.ok(guarded.length >= 12);
  for (const { policy, path } of routes) {
    if (policy.kind === 'public') assert.ok(policy.because.length > 20, path);
  }
});

test('without credentials: 401 AUTH_MISSING', async () => {
  for (const route of guarded) assert.equal(await refusalOf(route, {}), '401 AUTH_MISSING', route.path);
});

test('with bad credentials of every kind: 401 AUTH_INVALID', async () => {
  const bad: Array<Record<string, string>> = [
    { authorization: 'Bearer nonsense' },
    { authorization: `Bearer ${newApiKey('live')}` },
    // another last character, whatever it was
    { authorization: `Bearer ${firstRun.apiKey.slice(0, -1)}${firstRun.apiKey.endsWith('x') ? 'y' : 'x'}` },
    { authorization: 'Bearer' },
    { authorization: 'Digest username="x"' },
    { authorization: `Basic ${Buffer.from('user:wrong').toString('base64')}` },
    { 'x-api-key': 'lumina_live_short' },
    { 'x-api-key': newApiKey('test') },
    { 'x-api-key': newApiKey('live'), authorization: `Bearer ${firstRun.apiKey}` },
    { cookie: 'lumatrace_session=nonsense' },
    { cookie: `lumatrace_session=${'A'.repeat(43)}` },
    { cookie: `lumatrace_session=${'A'.repeat(43)}; lumatrace_session=${'B'.repeat(43)}` },
  ];
  for (const route of guarded) {
    for (const headers of bad) {
      assert.equal(await refusalOf(route, headers), '401 AUTH_INVALID', `${route.path} ${JSON.stringify(headers)}`);
    }
  }
});

test('a key in the address is refused on every route, even beside good credentials', async () => {
  const headers = { authorization: `Bearer ${firstRun.apiKey}` };
  const encoded = firstRun.apiKey.replace('_', '%5F').replace('l', '%6c');
  for (const route of guarded) {
    for (const query of [`?api_key=${firstRun.apiKey}`, `?q=${firstRun.apiKey}`, `?k=${encoded}`]) {
      assert.equal(await refusalOf(route, headers, pathOf(route) + query), '401 AUTH_INVALID', route.path + query);
    }
  }
});

test('with every scope but the one that is needed: 403 FORBIDDEN, and denied writes leave an audit line', async () => {
  for (const route of guarded) {
    const { policy } = route;
    if (policy.kind !== 'scope') continue;
    const headers = await keyWith(
      SCOPES.filter((scope) => scope !== policy.scope && policy.or?.includes(scope) !== true),
    );
    const requestId = randomUUID();
    assert.equal(await refusalOf(route, { ...headers, 'x-request-id': requestId }), '403 FORBIDDEN', route.path);
    const { rows } = await db.database.inTenant(firstRun.tenant.id, (sql) =>
      sql.query<{ object: string; outcome: string }>('select object, outcome from audit where request_id = $1', [
        requestId,
      ]),
    );
    const expected = writes(route) ? [{ object: `${route.method} ${route.path}`, outcome: 'denied' }] : [];
    assert.deepEqual(rows, expected, route.path);
  }
});

test('routes of people refuse keys: 403 FORBIDDEN', async () => {
  const headers = await keyWith(SCOPES);
  for (const route of guarded.filter(({ policy }) => policy.kind === 'person')) {
    assert.equal(await refusalOf(route, headers), '403 FORBIDDEN', route.path);
  }
});

test("another tenant's object, a random id and a malformed id give the same 404", async () => {
  const other = randomUUID();
  const foreignKeyId = await db.database.inTenant(other, async (sql) => {
    await sql.query(`insert into tenants (tenant_id, name) values ($1, 'other')`, [other]);
    const key = await access.apiKeys.recordIn(sql, other, 'system', newApiKey('live'), {
      name: 'foreign',
      scopes: SCOPES,
      expiresAt: null,
    });
    return key.keyId;
  });
  const headers = { authorization: `Bearer ${firstRun.apiKey}`, 'x-request-id': 'same' };
  const answer = async (id: string): Promise<string> => {
    const response = await ask('DELETE', `/api/keys/${id}`, { headers });
    return `${response.status} ${await response.text()}`;
  };
  const foreign = await answer(foreignKeyId);
  assert.match(foreign, /^404 .*"NOT_FOUND"/);
  assert.equal(foreign, await answer(randomUUID()));
  for (const id of ['x', '1', '%00', '..%2f..', "' or 1=1 --", 'a'.repeat(2_000), '%ff']) {
    assert.match(await answer(encodeURI(decodeURIComponentSafely(id))), /^404 /, id);
  }
  const { data } = (await (await ask('GET', '/api/keys', { headers })).json()) as { data: Array<{ name: string }> };
  assert.ok(data.every(({ name }) => name !== 'foreign'));
});

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

test('a key is accepted as Bearer, as X-API-Key, and as the password of Basic with any user', async () => {
  const { apiKey } = firstRun;
  const basic = (user: string): string => `Basic ${Buffer.from(`${user}:${apiKey}`).toString('base64')}`;
  for (const headers of [
    { authorization: `Bearer ${apiKey}` },
    { authorization: `bearer ${apiKey}` },
    { 'x-api-key': apiKey },
    { authorization: basic('pk-lf-1234') },
    { authorization: basic('') },
    { authorization: `Bearer ${apiKey}`, 'x-api-key': apiKey },
  ] as Array<Record<string, string>>) {
    assert.equal((await ask('GET', '/api/keys', { headers })).status, 200, JSON.stringify(headers));
  }
});

test('roles hold what the table says, and a viewer can neither make keys nor change settings', async () => {
  const { cookie = '' } = await house.adminSession();
  await db.database.inTenant(firstRun.tenant.id, (sql) => sql.query(`update memberships set role = 'viewer'`));
  for (const [method, path] of [
    ['GET', '/api/keys'],
    ['POST', '/api/keys'],
    ['PUT', '/api/settings'],
    ['GET', '/api/members'],
    ['DELETE', '/api/onboarding/first-run-file'],
  ] as const) {
    const response = await ask(method, path, { headers: { cookie }, ...(method === 'GET' ? {} : { body: {} }) });
    assert.equal(response.status, 403, path);
  }
  assert.equal((await ask('GET', '/api/settings', { headers: { cookie } })).status, 200);
  await db.database.inTenant(firstRun.tenant.id, (sql) => sql.query(`update memberships set role = 'owner'`));
});
