// Rate limits over PostgreSQL: what is counted, for whom, and that nothing gets through when they cannot count.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { deleteEndedWindows } from '../storage/postgres/rate-limits.ts';
import { testDatabase } from '../test/harness.ts';
import { createLimits, DEFAULT_LIMITS, type Limits } from './limits.ts';
import type { Principal } from './principal.ts';

const db = await testDatabase();
after(() => db.close());
const { database } = db;
const settings = { ...DEFAULT_LIMITS, requestsPerHour: 20, personRequestsPerHour: 5 };
const clock = { nowMs: Date.now() };
const limits = (): Limits => createLimits({ database, settings, nowMs: () => clock.nowMs });

async function machine(requestsPerHour: number | null = null): Promise<Principal> {
  const tenantId = randomUUID();
  await database.inTenant(tenantId, (sql) =>
    sql.query(`insert into tenants (tenant_id, name, requests_per_hour) values ($1, 'test', $2)`, [
      tenantId,
      requestsPerHour,
    ]),
  );
  return { kind: 'machine', tenantId, subject: 'service-account:x', scopes: new Set() };
}

const outcome = (counted: Promise<unknown>): Promise<string> =>
  counted.then(
    () => 'counted',
    (error: { code: string }) => error.code,
  );

test('a burst from two processes at once passes exactly the limit', async () => {
  const principal = await machine();
  const processes = [limits(), limits()];
  const outcomes = await Promise.all(
    Array.from({ length: 60 }, (_, i) => outcome((processes[i % 2] as Limits).countRequest(principal))),
  );
  assert.equal(outcomes.filter((code) => code === 'counted').length, 20);
  assert.equal(outcomes.filter((code) => code === 'RATE_LIMIT_EXCEEDED').length, 40);
});

test('tenants are counted apart, keys and tokens of one tenant together', async () => {
  const [a, b] = [await machine(), await machine()];
  const counting = limits();
  for (let i = 0; i < 3; i++) await counting.countRequest(a);
  assert.equal((await counting.countRequest({ ...a, kind: 'apiKey', subject: 'key:y' })).remaining, 16);
  assert.equal((await counting.countRequest(b)).remaining, 19);
});

test("a tenant's own limit overrides the default, and a change is noticed within five seconds", async () => {
  const principal = await machine(2);
  const counting = limits();
  assert.deepEqual(await counting.countRequest(principal), { limit: 2, remaining: 1, resetSeconds: 3_600 });
  await counting.countRequest(principal);
  assert.equal(await outcome(counting.countRequest(principal)), 'RATE_LIMIT_EXCEEDED');
  await database.inTenant(principal.tenantId, (sql) => sql.query('update tenants set requests_per_hour = 10'));
  clock.nowMs += 5_000;
  assert.equal((await counting.countRequest(principal)).limit, 10);
});

test('a person is counted by account, not by tenant', async () => {
  const principal: Principal = { ...(await machine()), kind: 'person', accountId: randomUUID() };
  const counting = limits();
  for (let left = 4; left >= 0; left--) assert.equal((await counting.countRequest(principal)).remaining, left);
  assert.equal(await outcome(counting.countPerson(principal)), 'RATE_LIMIT_EXCEEDED');
  assert.equal((await counting.countPerson({ ...principal, accountId: randomUUID() }))?.remaining, 4);
  assert.equal(await counting.countPerson(await machine()), undefined);
});

test('a new window begins when the old one ends', async () => {
  const principal = await machine(1);
  await limits().countRequest(principal);
  assert.equal(await outcome(limits().countRequest(principal)), 'RATE_LIMIT_EXCEEDED');
  await database.inSystem((sql) => sql.query('update rate_limits set expire = $1', [Date.now() - 1]));
  assert.equal(await outcome(limits().countRequest(principal)), 'counted');
});

test('failed logins are counted per name and source, per name, and per source', async () => {
  const counting = createLimits({
    database,
    settings: { ...settings, loginFailuresPerNameAndSource: 2, loginFailuresPerName: 4, loginFailuresPerSource: 6 },
    nowMs: () => clock.nowMs,
  });
  const fail = (name: string, source: string): Promise<string> => outcome(counting.admitLogin({ name, source }));
  const refused = 'RATE_LIMIT_EXCEEDED';
  assert.deepEqual([await fail('a', '1'), await fail('a', '1'), await fail('a', '1')], ['counted', 'counted', refused]);
  assert.deepEqual([await fail('a', '2'), await fail('a', '3'), await fail('a', '4')], ['counted', 'counted', refused]);
  assert.deepEqual(
    [await fail('b', '1'), await fail('c', '1'), await fail('d', '1')],
    ['counted', 'counted', 'counted'],
  );
  assert.deepEqual([await fail('e', '1'), await fail('f', '1')], ['counted', refused]);
  await counting.forgiveLogin({ name: 'b', source: '9' });
  assert.equal(await outcome(counting.admitLogin({ name: 'b', source: '9' })), 'counted');
});

test('of logins that come all at once no more are admitted than of those that come one by one', async () => {
  const counting = createLimits({
    database,
    settings: { ...settings, loginFailuresPerNameAndSource: 3 },
    nowMs: () => clock.nowMs,
  });
  const attempt = { name: 'burst', source: '192.0.2.7' };
  const outcomes = await Promise.all(Array.from({ length: 30 }, () => outcome(counting.admitLogin(attempt))));
  assert.equal(outcomes.filter((each) => each === 'counted').length, 3);
});

test('a login that succeeds, or could not be looked at, is no failure', async () => {
  const counting = createLimits({
    database,
    settings: { ...settings, loginFailuresPerNameAndSource: 2, loginFailuresPerName: 2, loginFailuresPerSource: 2 },
    nowMs: () => clock.nowMs,
  });
  const attempt = { name: 'often', source: '192.0.2.8' };
  for (let i = 0; i < 5; i++) {
    assert.equal(await outcome(counting.admitLogin(attempt)), 'counted');
    await counting.forgiveLogin(attempt);
    assert.equal(await outcome(counting.admitLogin(attempt)), 'counted');
    await counting.takeBackLogin(attempt);
  }
});

test('a transaction of the limiter reaches the counter of its own key only', async () => {
  await limits().countRequest(await machine());
  const seen = await database.inLookup('v1:other', (sql) => sql.query('select from rate_limits'));
  assert.equal(seen.rowCount, 0);
});

test('names and addresses are not kept in clear', async () => {
  await limits().admitLogin({ name: 'canary@example.org', source: '203.0.113.77' });
  const { rows } = await database.inSystem((sql) => sql.query<{ key: string }>('select key from rate_limits'));
  assert.ok(rows.some(({ key }) => key.startsWith('login-name:')));
  assert.ok(rows.every(({ key }) => !key.includes('canary') && !key.includes('203.0.113.77')));
});

const forget = (nowMs: number): Promise<number> => database.inSystem((sql) => deleteEndedWindows(sql, nowMs));

test('counters are forgotten when their window has ended, and not before', async () => {
  const principal = await machine();
  await limits().countRequest(principal);
  assert.equal(await forget(Date.now() - 60_000), 0);
  assert.equal((await limits().countRequest(principal)).remaining, 18);
  assert.ok((await forget(Date.now() + 3_700_000)) > 0);
  assert.equal((await limits().countRequest(principal)).remaining, 19);
});

test('when the store does not answer, everything is refused as unavailable', async () => {
  const principal = await machine();
  const counting = limits();
  await counting.countRequest(principal);
  const { inLookup } = database;
  Object.assign(database, { inLookup: () => Promise.reject(new Error('gone')) });
  try {
    const attempt = { name: 'x', source: 'y' };
    assert.equal(await outcome(counting.countRequest(principal)), 'UNAVAILABLE');
    assert.equal(await outcome(counting.countPerson({ ...principal, accountId: randomUUID() })), 'UNAVAILABLE');
    assert.equal(await outcome(counting.admitLogin(attempt)), 'UNAVAILABLE');
    assert.equal(await outcome(counting.takeBackLogin(attempt)), 'UNAVAILABLE');
  } finally {
    Object.assign(database, { inLookup });
  }
});
