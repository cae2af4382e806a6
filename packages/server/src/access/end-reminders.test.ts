// Who is reminded of a credential that ends, when, and how often.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { insertAlert, type AlertRow } from '../storage/postgres/audit-alerts.ts';
import { openHouse } from '../test/house.ts';
import { remindOfEnds } from './end-reminders.ts';

const house = await openHouse();
after(() => house.close());
const { ask, clock, db, firstRun } = house;
const headers = { authorization: `Bearer ${firstRun.apiKey}` };
const DAY_MS = 86_400_000;
const startMs = clock.nowMs;

async function make(path: string, days: number | null): Promise<string> {
  const expiresAt = days === null ? null : new Date(startMs + days * DAY_MS).toISOString();
  const body = { name: `${days} days`, scopes: ['traces:read'], expiresAt };
  const answer = (await (await ask('POST', path, { headers, body })).json()) as Record<string, string>;
  return answer['keyId'] === undefined ? `service-account:${answer['serviceAccountId']}` : `key:${answer['keyId']}`;
}

async function lookAfter(days: number): Promise<string[]> {
  clock.nowMs = startMs + days * DAY_MS;
  const told: string[] = [];
  // rows know the hour of the real clock, which does not move here
  await db.database.inSystem((sql) => sql.query(`update security_alerts set hour = hour - interval '1 day'`));
  const alert = async (row: AlertRow): Promise<void> => {
    assert.equal(row.tenantId, firstRun.tenant.id);
    if (await db.database.inSystem((sql) => insertAlert(sql, row)))
      told.push(`${row.about} ${String(row.detail['withinDays'])}`);
  };
  await remindOfEnds({ database: db.database, alert, nowMs: () => clock.nowMs });
  // twice, as another process or a restart would
  await remindOfEnds({ database: db.database, alert, nowMs: () => clock.nowMs });
  return told.sort();
}

const each = (days: number, ...abouts: string[]): string[] => abouts.map((about) => `${about} ${days}`).sort();

test('two weeks and three days before its end, once each; not what never ends, was replaced or lives too short', async () => {
  const long = await make('/api/keys', 30);
  const short = await make('/api/keys', 10);
  const [never, revoked, replaced] = [
    await make('/api/keys', null),
    await make('/api/keys', 30),
    await make('/api/keys', 30),
  ];
  const account = await make('/api/service-accounts', 30);
  assert.equal((await ask('DELETE', `/api/keys/${revoked.slice(4)}`, { headers })).status, 204);
  const rotation = { headers, body: { overlapHours: 720 } };
  assert.equal((await ask('POST', `/api/keys/${replaced.slice(4)}/rotate`, rotation)).status, 201);
  const { rows } = await db.database.inTenant(firstRun.tenant.id, (sql) =>
    sql.query<{ id: string }>('select replaced_by as id from api_keys where replaced_by is not null'),
  );
  const successor = `key:${rows[0]?.id}`;
  assert.ok(never !== successor);
  assert.deepEqual(await lookAfter(1), []);
  assert.deepEqual(await lookAfter(8), each(3, short));
  assert.deepEqual(await lookAfter(15), []);
  assert.deepEqual(await lookAfter(17), each(14, long, account, successor));
  assert.deepEqual(await lookAfter(20), []);
  assert.deepEqual(await lookAfter(28), each(3, long, account, successor));
  assert.deepEqual(await lookAfter(31), []);
});
