// Behind PgBouncer in transaction mode a connection changes hands after every transaction: nothing of a tenant may stay on it.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { APP_ROLE, Database } from '../storage/database.ts';
import { OWNER_ROLE } from '../storage/embedded/provision.ts';
import { testDatabase } from '../test/harness.ts';
import { interleave, type InterleavedOptions } from '../test/interleaved.ts';
import { sessionDoor } from '../test/leaky-door.ts';
import { startPooler } from '../test/pooler.ts';

const SERVER_CONNECTIONS = 6;
const db = await testDatabase();
const pooler = await startPooler({ socketDir: db.socketDir, serverConnections: SERVER_CONNECTIONS });
const pooled = pooler.connection(APP_ROLE, db.name);
const door = new Database({
  app: { ...pooled, max: 40 },
  owner: pooler.connection(OWNER_ROLE, db.name),
});
after(async () => {
  await door.close();
  await pooler.stop();
  await db.close();
});

let state = 20_261_124;
/** A linear congruential generator (Numerical Recipes): the run can be had again. */
function below(end: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * end);
}

const common: Omit<InterleavedOptions, 'door' | 'transactions'> = {
  raw: pooled,
  direct: db.app,
  tenants: 50,
  atOnce: 24,
  below,
};

test('five thousand interleaved transactions of fifty tenants see no row of another', async (context) => {
  const figures = await interleave({ ...common, door, transactions: 5_000 });
  context.diagnostic(JSON.stringify(figures));
  assert.deepEqual(figures.unexpected, []);
  assert.equal(figures.foreignRows, 0);
  assert.equal(figures.transactions, 5_000);
  assert.ok(figures.ownRows > 5_000, 'everybody saw rows of their own');
  assert.ok(figures.handovers > 1_000, 'connections really changed hands');
  assert.equal(Object.keys(figures.endings).length, 12, 'every way to end was taken');
});

test('without a pooler the same holds for the connections of the program’s own pool', async (context) => {
  const figures = await interleave({ ...common, raw: db.app, door: db.database, transactions: 2_000 });
  context.diagnostic(JSON.stringify(figures));
  assert.deepEqual(figures.unexpected, []);
  assert.equal(figures.foreignRows, 0);
  assert.ok(figures.handovers > 200, 'connections really changed hands');
});

test('a tenant that is set for the session instead of the transaction is found', async () => {
  const pool = new pg.Pool({ ...pooled, max: 24 });
  pool.on('error', () => {});
  try {
    const figures = await interleave({ ...common, door: sessionDoor(pool), transactions: 400 });
    assert.ok(figures.foreignRows > 0);
  } finally {
    await pool.end();
  }
});

test('a tenant that a statement has set for the session is not the one of the next look-up', async () => {
  const single = new Database({ app: { ...db.app, max: 1 }, owner: db.owner });
  try {
    const tenantId = '6f1f6f64-2a3c-4b1e-9d6d-0c7f0a5d1c11';
    await single.inTenant(tenantId, async (sql) => {
      await sql.query(`insert into tenants (tenant_id, name) values ($1, 'left behind')`, [tenantId]);
      await sql.query(`select set_config('app.tenant', $1, false)`, [tenantId]);
    });
    const { rows } = await single.inLookup('nothing', (sql) => sql.query('select tenant_id from tenants'));
    assert.deepEqual(rows, []);
  } finally {
    await single.close();
  }
});
