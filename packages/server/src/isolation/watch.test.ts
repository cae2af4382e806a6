// What the watch must notice is tried over HTTP, against a real database, and becomes a row within a minute.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import pg from 'pg';
import { watched } from '../http/watched.ts';
import { createHttp } from '../http/server.ts';
import { pino } from 'pino';
import { listAlerts, type AlertRow } from '../storage/postgres/audit-alerts.ts';
import { openHouse, PUBLIC_URL } from '../test/house.ts';
import { createTeller } from './tell.ts';
import { BURSTS, createWatch } from './watch.ts';

const house = await openHouse({ limits: { requestsPerHour: 10_000 } });
const { db, access, firstRun, routes } = house;
const thief = new pg.Pool({ ...db.superuser, max: 1 });
// its end does not wait for the socket, which the forced drop of the database may then cut
thief.on('connect', (client) => client.on('error', () => {}));
const told: AlertRow[] = [];
const clock = { nowMs: 1_000_000 };
const watch = createWatch({
  database: db.database,
  auditLog: access.auditLog,
  onAlert: (alert) => void told.push(alert),
  onError: (error) => assert.fail(String(error)),
  nowMs: () => clock.nowMs,
});
const http = await createHttp({ routes: watched(routes, watch), access, log: pino({ level: 'silent' }) });
after(async () => {
  await http.stop(0);
  await thief.end();
  await house.close();
});
const headers = { authorization: `Bearer ${firstRun.apiKey}`, 'content-type': 'application/json' };
const ask = (method: string, path: string, body?: unknown): Promise<Response> =>
  http.fetch(
    new Request(`${PUBLIC_URL}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );

async function alertsOf(kind: string): Promise<Array<AlertRow & { at: Date }>> {
  await watch.settled();
  return (await db.database.inSystem((sql) => listAlerts(sql, 100))).filter((alert) => alert.kind === kind);
}

test('a burst of failed logins becomes one alert, told once', async () => {
  for (let n = 0; n < BURSTS['login.failures'].most + 5; n++) {
    await ask('POST', '/auth/login', { email: `nobody${n}@example.com`, password: randomBytes(8).toString('hex') });
  }
  const [alert, ...more] = await alertsOf('login.failures');
  assert.ok(alert && Date.now() - alert.at.getTime() < 60_000);
  assert.deepEqual(more, []);
  assert.equal(told.filter(({ kind }) => kind === 'login.failures').length, 1);
});

test('a few failed logins, or many over a long time, are none', async () => {
  const about = 'source:slow';
  for (let n = 0; n < 50; n++) {
    clock.nowMs += 10_000;
    watch.count('login.failures', about);
  }
  assert.ok((await alertsOf('login.failures')).every((alert) => alert.about !== about));
});

test('a burst of ids that are not the tenant’s becomes an alert about whoever asked', async () => {
  for (let n = 0; n < BURSTS['foreign.ids'].most - 1; n++) await ask('DELETE', `/api/keys/${randomUUID()}`);
  assert.deepEqual(await alertsOf('foreign.ids'), []);
  await ask('DELETE', `/api/keys/${randomUUID()}`);
  assert.match((await alertsOf('foreign.ids'))[0]?.about ?? '', /^key:/);
});

test('export volume becomes an alert, by requests and by lines', async () => {
  for (let n = 0; n < BURSTS['export.requests'].most; n++) {
    const lines = (await (await ask('GET', '/api/v1/audit/export')).text()).trimEnd().split('\n');
    assert.equal((JSON.parse(lines.at(-1) ?? '') as { type: string }).type, 'end');
  }
  assert.equal((await alertsOf('export.requests')).length, 1);
  assert.deepEqual(await alertsOf('export.lines'), []);
  watch.count('export.lines', 'key:x', BURSTS['export.lines'].most);
  assert.equal((await alertsOf('export.lines')).length, 1);
});

test('a gap in the audit chain becomes an alert at the next look', async () => {
  await watch.look();
  assert.deepEqual(await alertsOf('audit.gap'), []);
  await thief.query('delete from audit where tenant_id = $1 and position = 2', [firstRun.tenant.id]);
  await watch.look();
  assert.equal((await alertsOf('audit.gap'))[0]?.about, `tenant:${firstRun.tenant.id}`);
});

test('a hole in the catalogue and a changed line become alerts at the next inspection', async () => {
  assert.deepEqual(await alertsOf('isolation.breach'), []);
  await thief.query('grant delete on audit to lumatrace_app');
  await watch.inspect();
  assert.equal((await alertsOf('isolation.breach'))[0]?.about, 'audit delete');
  assert.equal((await alertsOf('audit.fault')).length, 1);
});

test('what is not told waits for the receiver, in its order, and comes once when it is back', async () => {
  const sent: string[] = [];
  const receiver = { isDown: true, asked: 0 };
  const teller = createTeller({
    database: db.database,
    webhook: {
      place: 'example.com',
      send(id) {
        receiver.asked++;
        if (receiver.isDown) return Promise.reject(new Error('away'));
        return Promise.resolve(void sent.push(id));
      },
    },
    onError: () => {},
    nowMs: () => clock.nowMs,
  });
  const waiting = (await db.database.inSystem((sql) => listAlerts(sql, 100))).toReversed();
  assert.ok(waiting.length > 3);
  for (let n = 0; n < 10; n++) await teller.tell();
  assert.equal(receiver.asked, 1, 'left alone after a failure');
  receiver.isDown = false;
  clock.nowMs += 60_000;
  await Promise.all([teller.tell(), teller.tell()]);
  assert.deepEqual(
    sent,
    waiting.map(({ id }) => `alert_${id}`),
  );
});

test('a tenant is shown what is about it, and the first one also what is about the installation', async () => {
  clock.nowMs += 60_000;
  const mine = await watch.recent(firstRun.tenant.id);
  assert.ok(mine.some(({ kind }) => kind === 'audit.gap') && mine.some(({ kind }) => kind === 'login.failures'));
  const other = randomUUID();
  await watch.alert({ kind: 'audit.fault', about: `tenant:${other}`, detail: {}, tenantId: other });
  assert.deepEqual(
    (await watch.recent(other)).map(({ about }) => about),
    [`tenant:${other}`],
  );
  assert.ok((await watch.recent(firstRun.tenant.id)).every(({ about }) => about !== `tenant:${other}`));
});

test('a flood of sources makes the oldest forgotten, so it does not fill the memory', async () => {
  const { most } = BURSTS['login.failures'];
  watch.count('login.failures', 'source:oldest', most - 1);
  watch.count('login.failures', 'source:again', most - 1);
  for (let n = 0; n < 10_000; n++) {
    watch.count('login.failures', `source:${n}`);
    if (n === 5_000) watch.count('login.failures', 'source:again', 0);
  }
  watch.count('login.failures', 'source:oldest');
  watch.count('login.failures', 'source:again');
  const about = (await alertsOf('login.failures')).map((alert) => alert.about);
  assert.ok(!about.includes('source:oldest'));
  assert.ok(about.includes('source:again'));
});
