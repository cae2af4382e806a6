// A database that is gone, cuts connections, or takes bytes and never answers: the door says so within seconds, each time
// with the one error that the rim answers with 503, and opens again by itself.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Database, DatabaseUnavailable } from '../storage/database.ts';
import { testDatabase } from '../test/harness.ts';
import { openValve, type ValveState } from '../test/valve.ts';

const LIMIT_MS = 8_000;
const db = await testDatabase();
const valve = await openValve({ to: { path: join(db.socketDir, '.s.PGSQL.5432') }, slowMs: 0 });
const through = { ...db.app, host: '127.0.0.1', port: valve.port };
const door = new Database({ app: through, owner: db.owner, maxConnections: 2, statementTimeoutMs: 1_000 });
after(async () => {
  await door.close();
  await valve.close();
  await db.close();
});

const ask = (): Promise<unknown> => door.inTenant(randomUUID(), (sql) => sql.query('select 1 as one'));

for (const state of ['refused', 'reset', 'silent'] satisfies ValveState[]) {
  test(`a database that is ${state} is told as unavailable, and asked again when it is back`, async () => {
    await ask();
    await valve.turn(state);
    const startedMs = performance.now();
    // more than there are connections, so that some wait for one
    const answers = await Promise.allSettled(Array.from({ length: 4 }, ask));
    assert.ok(performance.now() - startedMs < LIMIT_MS);
    for (const answer of answers) {
      assert.ok(answer.status === 'rejected' && answer.reason instanceof DatabaseUnavailable, JSON.stringify(answer));
    }
    await valve.turn('open');
    await ask().catch(() => ask());
  });
}

test('a database that falls silent in the middle of a transaction does not hold its caller', async () => {
  const startedMs = performance.now();
  const caught: unknown = await door
    .inTenant(randomUUID(), async (sql) => {
      await sql.query('select 1');
      await valve.turn('silent');
      await sql.query('select 2');
    })
    .catch((error: unknown) => error);
  assert.ok(caught instanceof DatabaseUnavailable, String(caught));
  assert.ok(performance.now() - startedMs < LIMIT_MS);
  await valve.turn('open');
  await ask().catch(() => ask());
});
