// Day partitions: made ahead and on demand, by several at once, dropped when expired and not a day earlier.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { testDatabase } from '../../test/harness.ts';
import { dropExpiredPartitions, ensureDayPartitions, prepareDayPartitions } from './partitions.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 10, 23, 12);
const TODAY = Math.floor(NOW_MS / DAY_MS);

const db = await testDatabase();
after(() => db.close());

async function partitions(table: string): Promise<string[]> {
  const { rows } = await db.database.ownerPool.query<{ name: string }>(
    `select relname as name from pg_class where relkind = 'r' and relispartition and relname like $1 order by 1`,
    [`${table}\\_%`],
  );
  return rows.map(({ name }) => name);
}

test('yesterday to the day after tomorrow are made for the classes in use', async () => {
  await db.database.inSystem((sql) =>
    sql.query(`insert into tenants (tenant_id, name, retention_class) values (gen_random_uuid(), 'x', 30)`),
  );
  await prepareDayPartitions(db.database, NOW_MS, 7);
  await prepareDayPartitions(db.database, NOW_MS, 7);
  const days = ['20261122', '20261123', '20261124', '20261125'];
  assert.deepEqual(
    await partitions('spans_7'),
    days.map((day) => `spans_7_${day}`),
  );
  assert.deepEqual(
    await partitions('spans_30'),
    days.map((day) => `spans_30_${day}`),
  );
  assert.deepEqual(
    await partitions('content_blocks_7'),
    days.map((day) => `content_blocks_7_${day}`),
  );
  assert.deepEqual(await partitions('spans_1'), []);
});

test('several that make the same days at once make each once', async () => {
  await Promise.all(Array.from({ length: 6 }, () => ensureDayPartitions(db.database, 90, [TODAY, TODAY - 80])));
  assert.deepEqual(await partitions('spans_90'), ['spans_90_20260904', 'spans_90_20261123']);
});

test('a partition has the indexes of its parent, no grants, and is closed to its own name', async () => {
  const { rows } = await db.database.ownerPool.query<Record<string, unknown>>(`
    select relrowsecurity and relforcerowsecurity as closed, relacl is null as no_grants,
      (select count(*)::int from pg_index where indrelid = c.oid) as indexes,
      (select count(*)::int from pg_index where indrelid = 'spans'::regclass) as wanted
    from pg_class c where relname = 'spans_7_20261123'`);
  const [row] = rows;
  assert.deepEqual([row?.['closed'], row?.['no_grants']], [true, true]);
  assert.ok((row?.['indexes'] as number) >= 1);
  assert.equal(row?.['indexes'], row?.['wanted']);
});

test('readers and writers of the table do not wait while a partition is made', async () => {
  const reader = await db.database.ownerPool.connect();
  try {
    await reader.query('begin');
    await reader.query('select count(*) from spans');
    await ensureDayPartitions(db.database, 7, [TODAY + 3]);
  } finally {
    await reader.query('rollback');
    reader.release();
  }
  assert.ok((await partitions('spans_7')).includes('spans_7_20261126'));
});

test('a day is dropped when its last moment is older than its class, whole, and not before', async () => {
  await ensureDayPartitions(db.database, 7, [TODAY - 9, TODAY - 8, TODAY - 7]);
  await ensureDayPartitions(db.database, 30, [TODAY - 9]);
  const dropped = await dropExpiredPartitions(db.database, NOW_MS);
  const expected = ['content_blocks', 'log_records', 'metric_points', 'spans'].flatMap((table) => [
    `${table}_7_20261114`,
    `${table}_7_20261115`,
  ]);
  assert.deepEqual(dropped, expected);
  assert.ok((await partitions('spans_7')).includes('spans_7_20261116'));
  assert.ok((await partitions('spans_30')).includes('spans_30_20261114'));
  assert.deepEqual(await dropExpiredPartitions(db.database, NOW_MS), []);
});

test('a partition that somebody reads for long is left for the next run', async () => {
  await ensureDayPartitions(db.database, 1, [TODAY - 5]);
  const reader = await db.database.ownerPool.connect();
  try {
    await reader.query('begin');
    await reader.query('select count(*) from spans_1_20261118');
    const others = ['content_blocks_1_20261118', 'log_records_1_20261118', 'metric_points_1_20261118'];
    assert.deepEqual(await dropExpiredPartitions(db.database, NOW_MS), others);
  } finally {
    await reader.query('rollback');
    reader.release();
  }
  assert.deepEqual(await dropExpiredPartitions(db.database, NOW_MS), ['spans_1_20261118']);
});

test('days and classes that cannot be are refused', async () => {
  await assert.rejects(ensureDayPartitions(db.database, 8, [TODAY]), TypeError);
  await assert.rejects(ensureDayPartitions(db.database, 7, [0.5]), TypeError);
  await assert.rejects(
    ensureDayPartitions(
      db.database,
      7,
      Array.from({ length: 401 }, (_, i) => i),
    ),
    TypeError,
  );
});
