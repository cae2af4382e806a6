// API keys, members, settings and the first steps over HTTP, on a real PostgreSQL.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { after, test } from 'node:test';
import { createApiKeys } from '../access/api-keys.ts';
import { firstRunPath } from '../access/bootstrap.ts';
import { SCOPES } from '../access/principal.ts';
import { openHouse } from '../test/house.ts';

const house = await openHouse();
after(() => house.close());
const { ask, firstRun, clock, db } = house;
const headers = { authorization: `Bearer ${firstRun.apiKey}` };

interface Key {
  keyId: string;
  name: string;
  apiKey: string;
  prefix: string;
  scopes: string[];
  lastUsedAt: string | null;
  revokedAt: string | null;
}

async function create(body: object, by: Record<string, string> = headers): Promise<Response> {
  return ask('POST', '/api/keys', { headers: by, body: { name: 'a key', scopes: ['traces:read'], ...body } });
}

const made = async (body: object): Promise<Key> => (await create(body)).json() as Promise<Key>;
const bearer = ({ apiKey }: Key): Record<string, string> => ({ authorization: `Bearer ${apiKey}` });
const listed = async (): Promise<Key[]> =>
  ((await (await ask('GET', '/api/keys', { headers })).json()) as { data: Key[] }).data;

test('a new key is shown once, works at once, and is listed by its beginning', async () => {
  const response = await create({ name: 'reader' });
  assert.equal(response.status, 201);
  const key = (await response.json()) as Key;
  assert.match(key.apiKey, /^lumina_live_[0-9A-Za-z]{49}$/);
  assert.ok(key.apiKey.startsWith(key.prefix) && key.prefix.length === 18);
  assert.equal((await ask('GET', '/api/settings', { headers: bearer(key) })).status, 200);
  const shown = (await listed()).find(({ keyId }) => keyId === key.keyId);
  assert.deepEqual(shown?.scopes, ['traces:read']);
  assert.ok(!JSON.stringify(await listed()).includes(key.apiKey));
});

test('the first key and the service account carry every scope', async () => {
  const first = (await listed()).find(({ name }) => name === 'First key');
  assert.deepEqual(new Set(first?.scopes), new Set(SCOPES));
});

test('a key for tests says so', async () => {
  assert.match((await made({ environment: 'test' })).apiKey, /^lumina_test_/);
});

test('a key cannot give scopes that it does not hold', async () => {
  const admin = await made({ scopes: ['keys:admin', 'traces:read'] });
  assert.equal((await create({ scopes: ['traces:read'] }, bearer(admin))).status, 201);
  const refused = await create({ scopes: ['traces:read', 'photos:protect'] }, bearer(admin));
  assert.equal(refused.status, 403);
  assert.match(await refused.text(), /photos:protect/);
});

test('what is wrong with a wish is named', async () => {
  for (const [body, field] of [
    [{ name: '' }, 'name'],
    [{ name: 'x'.repeat(201) }, 'name'],
    [{ scopes: [] }, 'scopes'],
    [{ scopes: ['traces:*'] }, 'scopes.0'],
    [{ expiresAt: 'tomorrow' }, 'expiresAt'],
    [{ environment: 'prod' }, 'environment'],
  ] as const) {
    const response = await create(body);
    const problem = (await response.json()) as { code: string; message: string };
    assert.equal(problem.code, 'VALIDATION_FAILED');
    assert.ok(problem.message.includes(`"${field}" in the body`), problem.message);
  }
  assert.equal((await create({ expiresAt: '2020-01-01T00:00:00Z' })).status, 400);
});

test('a key expires when it said', async () => {
  const key = await made({ expiresAt: new Date(clock.nowMs + 60_000).toISOString() });
  assert.equal((await ask('GET', '/api/settings', { headers: bearer(key) })).status, 200);
  clock.nowMs += 60_000;
  const response = await ask('GET', '/api/settings', { headers: bearer(key) });
  assert.equal(response.status, 401);
  assert.equal(((await response.json()) as { code: string }).code, 'AUTH_EXPIRED');
  clock.nowMs -= 60_000;
});

test('revoking stops a key here at once, in another process within five seconds, and twice is once', async () => {
  const key = await made({});
  const elsewhere = createApiKeys({
    database: db.database,
    secrets: house.installationKeys,
    nowMs: () => clock.nowMs,
    onError: (error) => assert.fail(String(error)),
  });
  assert.equal((await elsewhere.authenticate(key.apiKey)).tenantId, firstRun.tenant.id);
  assert.equal((await ask('GET', '/api/settings', { headers: bearer(key) })).status, 200);
  for (let i = 0; i < 2; i++) {
    assert.equal((await ask('DELETE', `/api/keys/${key.keyId}`, { headers })).status, 204);
  }
  assert.equal((await ask('GET', '/api/settings', { headers: bearer(key) })).status, 401);
  clock.nowMs += 5_000;
  await assert.rejects(elsewhere.authenticate(key.apiKey), { code: 'AUTH_INVALID' });
  clock.nowMs -= 5_000;
  assert.notEqual((await listed()).find(({ keyId }) => keyId === key.keyId)?.revokedAt, null);
});

test('the last use is noted, coarsely', async () => {
  const key = await made({});
  await ask('GET', '/api/settings', { headers: bearer(key) });
  const noted = async (): Promise<string | null | undefined> =>
    (await listed()).find(({ keyId }) => keyId === key.keyId)?.lastUsedAt;
  const deadline = performance.now() + 2_000;
  while ((await noted()) === null && performance.now() < deadline);
  const first = await noted();
  assert.equal(first, new Date(clock.nowMs).toISOString());
  clock.nowMs += 60_000;
  await ask('GET', '/api/settings', { headers: bearer(key) });
  assert.equal(await noted(), first);
  clock.nowMs -= 60_000;
});

test('when the database does not answer, keys are refused as unavailable once what is known has aged', async () => {
  const { inLookup } = db.database;
  await ask('GET', '/api/settings', { headers });
  Object.assign(db.database, {
    inLookup: () => Promise.reject(Object.assign(new Error('The database does not answer.'), { code: 'UNAVAILABLE' })),
  });
  clock.nowMs += 120_000;
  const response = await ask('GET', '/api/settings', { headers });
  assert.equal(response.status, 503);
  assert.ok(response.headers.has('retry-after'));
  clock.nowMs -= 120_000;
  Object.assign(db.database, { inLookup });
});

test('members are listed with their roles', async () => {
  const { data } = (await (await ask('GET', '/api/members', { headers })).json()) as {
    data: Array<Record<string, unknown>>;
  };
  assert.equal(data.length, 1);
  assert.equal(data[0]?.['email'], firstRun.admin.email);
  assert.equal(data[0]?.['role'], 'owner');
});

test('settings show the limits in force and change name and retention', async () => {
  const read = async (): Promise<unknown> => (await ask('GET', '/api/settings', { headers })).json();
  const before = { tenantId: firstRun.tenant.id, name: firstRun.tenant.name, retentionDays: 7 };
  assert.deepEqual(await read(), { ...before, tracesPerDay: 50_000, requestsPerHour: 5_000 });
  const changed = await ask('PUT', '/api/settings', { headers, body: { name: ' Acme ', retentionDays: 30 } });
  assert.equal(changed.status, 200);
  const now = { ...before, name: 'Acme', retentionDays: 30, tracesPerDay: 50_000, requestsPerHour: 5_000 };
  assert.deepEqual(await read(), now);
  assert.equal((await ask('PUT', '/api/settings', { headers, body: { retentionDays: 8 } })).status, 400);
  await ask('PUT', '/api/settings', { headers, body: {} });
  assert.deepEqual(await read(), now);
});

const firstSteps = async (by = headers): Promise<unknown> =>
  (await ask('GET', '/api/onboarding', { headers: by })).json();

test('the first steps name the file with the first credentials until it is deleted', async () => {
  const path = firstRunPath(house.dataDir);
  const answer = { hasSpans: false, otlpUrl: 'http://localhost:4318' };
  assert.deepEqual(await firstSteps(), { ...answer, firstRunFile: path });
  const reader = await made({});
  assert.deepEqual(await firstSteps({ authorization: `Bearer ${reader.apiKey}` }), { ...answer, firstRunFile: null });
  for (let i = 0; i < 2; i++) {
    assert.equal((await ask('DELETE', '/api/onboarding/first-run-file', { headers })).status, 204);
  }
  assert.deepEqual(await firstSteps(), { ...answer, firstRunFile: null });
  await assert.rejects(stat(path), { code: 'ENOENT' });
});

test('key changes and settings leave audit lines with who, what and which request', async () => {
  const requestId = randomUUID();
  const response = await ask('POST', '/api/keys', {
    headers: { ...headers, 'x-request-id': requestId },
    body: { name: 'audited', scopes: ['traces:read'] },
  });
  const { keyId } = (await response.json()) as Key;
  const { rows } = await db.database.inTenant(firstRun.tenant.id, (sql) =>
    sql.query<Record<string, unknown>>('select actor, action, object, outcome from audit where request_id = $1', [
      requestId,
    ]),
  );
  assert.equal(rows.length, 1);
  assert.match(String(rows[0]?.['actor']), /^key:/);
  assert.equal(rows[0]?.['action'], 'key.create');
  assert.equal(rows[0]?.['object'], `key:${keyId}`);
});

interface Rotated extends Key {
  previousEndsAt: string;
  expiresAt: string | null;
  replacedBy: string | null;
}

const rotate = (keyId: string, body: object = {}, by: Record<string, string> = headers): Promise<Response> =>
  ask('POST', `/api/keys/${keyId}/rotate`, { headers: by, body });
const statusOf = async (key: Key): Promise<number> =>
  (await ask('GET', '/api/settings', { headers: bearer(key) })).status;

test('a rotated key works beside the new one until the overlap ends, also where it is remembered', async () => {
  const { nowMs } = clock;
  const old = await made({
    name: 'rotates',
    environment: 'test',
    expiresAt: new Date(nowMs + 90 * 86_400_000).toISOString(),
  });
  const elsewhere = createApiKeys({
    database: db.database,
    secrets: house.installationKeys,
    nowMs: () => clock.nowMs,
    onError: assert.ifError,
  });
  await elsewhere.authenticate(old.apiKey);
  const response = await rotate(old.keyId, { overlapHours: 2 });
  assert.equal(response.status, 201);
  const fresh = (await response.json()) as Rotated;
  assert.match(fresh.apiKey, /^lumina_test_/);
  assert.deepEqual([fresh.name, fresh.scopes, fresh.replacedBy], ['rotates', ['traces:read'], null]);
  assert.equal(fresh.previousEndsAt, new Date(nowMs + 2 * 3_600_000).toISOString());
  assert.ok(Math.abs(Date.parse(fresh.expiresAt ?? '') - (nowMs + 90 * 86_400_000)) < 60_000, 'as long again');
  const shown = (await listed()).find(({ keyId }) => keyId === old.keyId) as Rotated;
  assert.deepEqual([shown.replacedBy, shown.expiresAt], [fresh.keyId, fresh.previousEndsAt]);
  assert.deepEqual([await statusOf(old), await statusOf(fresh)], [200, 200]);
  clock.nowMs = nowMs + 2 * 3_600_000;
  assert.deepEqual([await statusOf(old), await statusOf(fresh)], [401, 200]);
  await assert.rejects(elsewhere.authenticate(old.apiKey), { code: 'AUTH_EXPIRED' });
  clock.nowMs = nowMs;
});

test('without an overlap the old key ends now, in another process within five seconds', async () => {
  const { nowMs } = clock;
  const old = await made({ name: 'leaked' });
  const elsewhere = createApiKeys({
    database: db.database,
    secrets: house.installationKeys,
    nowMs: () => clock.nowMs,
    onError: assert.ifError,
  });
  await elsewhere.authenticate(old.apiKey);
  const fresh = (await (await rotate(old.keyId, { overlapHours: 0 })).json()) as Rotated;
  assert.deepEqual([await statusOf(old), await statusOf(fresh), fresh.expiresAt], [401, 200, null]);
  clock.nowMs = nowMs + 5_000;
  await assert.rejects(elsewhere.authenticate(old.apiKey), { code: 'AUTH_EXPIRED' });
  clock.nowMs = nowMs;
});

test('a key is replaced once, never by more than its caller may, and a revoked one by none', async () => {
  const old = await made({ scopes: ['photos:protect'] });
  const admin = await made({ scopes: ['keys:admin'] });
  assert.equal((await rotate(old.keyId, {}, bearer(admin))).status, 403);
  const answers = await Promise.all([rotate(old.keyId), rotate(old.keyId), rotate(old.keyId)]);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409]);
  const fresh = (await answers.find(({ status }) => status === 201)?.json()) as Rotated;
  // revoking the new one does not bring the old one back, nor does it end it earlier
  assert.equal((await ask('DELETE', `/api/keys/${fresh.keyId}`, { headers })).status, 204);
  assert.deepEqual([await statusOf(fresh), await statusOf(old)], [401, 200]);
  assert.equal((await rotate(fresh.keyId)).status, 409);
  assert.equal((await rotate(randomUUID())).status, 404);
  for (const overlapHours of [-1, 721, '24']) assert.equal((await rotate(admin.keyId, { overlapHours })).status, 400);
  assert.ok(!house.log().includes(fresh.apiKey));
});
