// Migrations: once, in order, by several processes at once, and never on a database that they do not fit.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { testDatabase, type TestDatabase } from '../test/harness.ts';
import { migrate, MigrationRefused, readMigrations, schemaDigest, type Migration } from './migrate.ts';

const opened: TestDatabase[] = [];
after(async () => {
  for (const db of opened) await db.close();
});

async function empty(): Promise<TestDatabase> {
  const db = await testDatabase({ migrated: false });
  opened.push(db);
  return db;
}

function migration(version: number, sql: string, sha256 = `digest of ${sql}`): Migration {
  return { version, name: `step_${version}`, sql, sha256 };
}

const FIRST = migration(1, 'create table first (n int)');
const SECOND = migration(2, 'create table second (n int); insert into second values (1), (2)');

test('the files are applied in order, and applying them again does nothing', async () => {
  const { database } = await empty();
  const files = await readMigrations();
  assert.ok(files.length >= 1);
  assert.deepEqual(
    files.map(({ version }) => version),
    files.map((_, i) => i + 1),
  );
  assert.equal(await migrate(database.ownerPool, files), files.length);
  assert.equal(await migrate(database.ownerPool, files), 0);
  assert.match(schemaDigest(files), /^[0-9a-f]{64}$/);
});

test('several processes that start at once apply each migration once', async () => {
  const { owner } = await empty();
  const pools = Array.from({ length: 5 }, () => new pg.Pool({ ...owner, max: 1 }));
  try {
    const applied = await Promise.all(pools.map((pool) => migrate(pool, [FIRST, SECOND])));
    assert.equal(
      applied.reduce((sum, n) => sum + n, 0),
      2,
    );
    const { rows } = await (pools[0] as pg.Pool).query<{ n: string }>('select count(*) as n from second');
    assert.deepEqual(rows, [{ n: '2' }]);
  } finally {
    await Promise.all(pools.map((pool) => pool.end()));
  }
});

test('a migration that fails leaves nothing behind, and the ones before it stay', async () => {
  const { database } = await empty();
  const broken = migration(2, 'create table half (n int); select 1 / 0');
  await assert.rejects(migrate(database.ownerPool, [FIRST, broken]), /0002_step_2 failed: division by zero/);
  const { rows } = await database.ownerPool.query(
    `select to_regclass('first') is not null as first, to_regclass('half') is not null as half`,
  );
  assert.deepEqual(rows, [{ first: true, half: false }]);
  assert.equal(await migrate(database.ownerPool, [FIRST, SECOND]), 1);
});

test('an edited migration is refused', async () => {
  const { database } = await empty();
  await migrate(database.ownerPool, [FIRST]);
  await assert.rejects(
    migrate(database.ownerPool, [{ ...FIRST, sha256: 'other' }]),
    (error: unknown) => error instanceof MigrationRefused && /0001_step_1 was edited/.test(error.message),
  );
});

test('a database that knows a newer migration is refused before anything is changed', async () => {
  const { database } = await empty();
  await migrate(database.ownerPool, [FIRST, SECOND]);
  await assert.rejects(
    migrate(database.ownerPool, [FIRST]),
    (error: unknown) =>
      error instanceof MigrationRefused && /newer LumaTrace: it knows 0002_step_2/.test(error.message),
  );
});

test("an operator's user without the right to make the app role is told what to do once", async () => {
  const { superuser, name } = await empty();
  const plain = `plain_${name}`;
  const admin = new pg.Client(superuser);
  await admin.connect();
  const pool = new pg.Pool({ ...superuser, user: plain, max: 1 });
  try {
    await admin.query(`create role ${plain} login; alter database ${name} owner to ${plain}`);
    await assert.rejects(
      migrate(pool, [FIRST], { takesRole: true }),
      /not a member of lumatrace_app.*grant lumatrace_app to/s,
    );
    await admin.query(`grant lumatrace_app to ${plain}`);
    assert.equal(await migrate(pool, [FIRST], { takesRole: true }), 1);
  } finally {
    await pool.end();
    await admin.query(`reassign owned by ${plain} to postgres; drop owned by ${plain}; drop role ${plain}`);
    await admin.end();
  }
});
