// Service accounts over HTTP: made, rotated with two passwords for a while, ended, disabled; on a moved clock.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openHouse } from '../test/house.ts';

const house = await openHouse();
after(() => house.close());
const { ask, clock, db, firstRun } = house;
const headers = { authorization: `Bearer ${firstRun.apiKey}` };
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Account {
  serviceAccountId: string;
  username: string;
  password: string;
  name: string | null;
  scopes: string[];
  expiresAt: string | null;
  disabledAt: string | null;
  rotatedAt: string | null;
  lastUsedAt: string | null;
  previousUntil: string | null;
}

async function made(body: object = {}, by = headers): Promise<Account> {
  const wanted = { name: 'nightly', scopes: ['traces:read'], ...body };
  const response = await ask('POST', '/api/service-accounts', { headers: by, body: wanted });
  assert.equal(response.status, 201, await response.clone().text());
  return (await response.json()) as Account;
}
const rotate = (of: Account, overlapHours?: number): Promise<Response> =>
  ask('POST', `/api/service-accounts/${of.serviceAccountId}/rotate`, {
    headers,
    body: overlapHours === undefined ? {} : { overlapHours },
  });
const rotated = async (of: Account, overlapHours?: number): Promise<Account> =>
  (await (await rotate(of, overlapHours)).json()) as Account;
const disable = (of: Account): Promise<Response> =>
  ask('DELETE', `/api/service-accounts/${of.serviceAccountId}`, { headers });
const listed = async (of: Account): Promise<Account | undefined> =>
  ((await (await ask('GET', '/api/service-accounts', { headers })).json()) as { data: Account[] }).data.find(
    ({ serviceAccountId }) => serviceAccountId === of.serviceAccountId,
  );
const login = (of: Account): Promise<Response> =>
  ask('POST', '/api/v1/auth/login', { body: { username: of.username, password: of.password } });
async function tokenOf(of: Account): Promise<{ token: string; expires_in: number }> {
  const response = await login(of);
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as { token: string; expires_in: number };
}
const asks = async (token: string): Promise<number> =>
  (await ask('GET', '/api/settings', { headers: { authorization: `Bearer ${token}` } })).status;
const codeOf = async (response: Response): Promise<unknown> =>
  response.status < 400 ? response.status : ((await response.json()) as { code: string }).code;

test('an account is made, its password is shown once, and it may what its maker gave it', async () => {
  const account = await made();
  assert.match(account.username, /^service-[0-9a-f]{20}$/);
  const { token } = await tokenOf(account);
  assert.equal(await asks(token), 200);
  const keys = await ask('GET', '/api/keys', { headers: { authorization: `Bearer ${token}` } });
  assert.equal(keys.status, 403);
  const row = await listed(account);
  assert.deepEqual([row?.name, row?.scopes], ['nightly', ['traces:read']]);
  assert.ok(row?.lastUsedAt !== null && !JSON.stringify(row).includes(account.password));
  assert.ok(!house.log().includes(account.password));
});

test('nobody hands on what they do not hold, by making or by rotating', async () => {
  const strong = await made({ scopes: ['traces:read', 'prices:write'] });
  const { apiKey } = (await (
    await ask('POST', '/api/keys', { headers, body: { name: 'narrow', scopes: ['keys:admin', 'traces:read'] } })
  ).json()) as { apiKey: string };
  const narrow = { authorization: `Bearer ${apiKey}` };
  const wanted = { name: 'x', scopes: ['prices:write'] };
  assert.equal(
    await codeOf(await ask('POST', '/api/service-accounts', { headers: narrow, body: wanted })),
    'FORBIDDEN',
  );
  const path = `/api/service-accounts/${strong.serviceAccountId}/rotate`;
  assert.equal(await codeOf(await ask('POST', path, { headers: narrow, body: {} })), 'FORBIDDEN');
  assert.equal((await login(strong)).status, 200, 'nothing changed');
});

test('after a rotation both passwords work for the overlap, then the new one alone', async () => {
  const account = await made();
  const next = await rotated(account, 2);
  assert.equal(next.username, account.username);
  assert.notEqual(next.password, account.password);
  assert.deepEqual([(await login(account)).status, (await login(next)).status], [200, 200]);
  assert.notEqual((await listed(account))?.previousUntil, null);
  clock.nowMs += 2 * HOUR_MS + 1;
  assert.deepEqual([(await login(account)).status, (await login(next)).status], [401, 200]);
  assert.equal((await listed(account))?.previousUntil, null);
});

test('a second rotation ends the password before the first; without an overlap the old one ends at once', async () => {
  const account = await made();
  const second = await rotated(account);
  const third = await rotated(second);
  assert.deepEqual(
    await Promise.all([account, second, third].map(async (one) => (await login(one)).status)),
    [401, 200, 200],
  );
  const fourth = await rotated(third, 0);
  assert.deepEqual([(await login(third)).status, (await login(fourth)).status], [401, 200]);
});

test('two rotations at once leave one of the two new passwords and the one before it', async () => {
  const account = await made();
  const [a, b] = await Promise.all([rotated(account), rotated(account)]);
  const works = await Promise.all([account, a as Account, b as Account].map(async (one) => (await login(one)).status));
  assert.deepEqual(works, [401, 200, 200], 'whichever came second keeps the first as the one before');
});

test('an account that ends: tokens no longer than it, none afterwards, and a rotation gives as long again', async () => {
  const account = await made({ expiresAt: new Date(clock.nowMs + 10 * 60_000).toISOString() });
  const { token, expires_in: expiresIn } = await tokenOf(account);
  assert.ok(expiresIn > 590 && expiresIn <= 600, String(expiresIn));
  clock.nowMs += 5 * 60_000;
  const longer = await rotated(account, 24);
  assert.equal(Date.parse(longer.expiresAt ?? ''), clock.nowMs + 10 * 60_000);
  assert.ok(Date.parse(longer.previousUntil ?? '') <= clock.nowMs + 5 * 60_000, 'not longer than it would have lived');
  assert.equal(await asks(token), 200);
  clock.nowMs += 10 * 60_000 + 1_000;
  assert.equal(await codeOf(await login(longer)), 'AUTH_EXPIRED');
  assert.equal(await codeOf(await login({ ...longer, password: 'wrong' })), 'AUTH_INVALID');
  assert.equal(await codeOf(await rotate(longer)), 'CONFLICT');
  assert.equal(await codeOf(await disable(longer)), 204);
});

test('a disabled account gets no token, and those it has stop within five seconds', async () => {
  const account = await made();
  const other = await rotated(account);
  const { token } = await tokenOf(other);
  assert.equal(await asks(token), 200);
  assert.deepEqual([(await disable(account)).status, (await disable(account)).status], [204, 204]);
  assert.deepEqual([(await login(account)).status, (await login(other)).status], [401, 401]);
  clock.nowMs += 5_000;
  assert.equal(await asks(token), 401);
  assert.equal(await codeOf(await rotate(account)), 'CONFLICT');
  const { rows } = await db.database.inTenant(firstRun.tenant.id, (sql) =>
    sql.query<{ action: string; count: number }>(
      'select action, count(*)::int as count from audit where object = $1 group by action order by action',
      [`service-account:${account.serviceAccountId}`],
    ),
  );
  assert.deepEqual(
    rows.filter(({ action }) => action.startsWith('service-account.')).map(({ action, count }) => `${action} ${count}`),
    ['service-account.create 1', 'service-account.disable 1', 'service-account.rotate 1'],
  );
});

test('wrong input is refused by name', async () => {
  const post = async (body: object): Promise<unknown> =>
    codeOf(
      await ask('POST', '/api/service-accounts', { headers, body: { name: 'x', scopes: ['traces:read'], ...body } }),
    );
  assert.equal(await post({ name: ' ' }), 'VALIDATION_FAILED');
  assert.equal(await post({ scopes: [] }), 'VALIDATION_FAILED');
  assert.equal(await post({ scopes: ['everything'] }), 'VALIDATION_FAILED');
  assert.equal(await post({ expiresAt: new Date(clock.nowMs - DAY_MS).toISOString() }), 'VALIDATION_FAILED');
  const nobody = { serviceAccountId: '00000000-0000-4000-8000-000000000000' } as Account;
  assert.deepEqual(
    [await codeOf(await rotate(nobody)), await codeOf(await disable(nobody))],
    ['NOT_FOUND', 'NOT_FOUND'],
  );
  assert.equal(await codeOf(await rotate(nobody, 721)), 'VALIDATION_FAILED');
});
