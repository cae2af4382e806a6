// Day partitions: made ahead for the retention classes in use, on demand for late days, dropped whole when they expire.
// A table is divided by retention class (in a migration) and below that by UTC day (here): spans_7 has spans_7_20261123.
import { sqlState, type Database, type Sql } from '../database.ts';

/** Tables whose class partitions, named TABLE_CLASS, are divided by day. */
const TABLES = ['spans', 'content_blocks', 'log_records', 'metric_points'] as const;
const RETENTION_CLASSES = new Set([1, 7, 30, 90, 365]);

const DAY_MS = 86_400_000;
/** Yesterday for late spans, the day after tomorrow so that one missed run of the daily job harms nothing. */
const DAYS_AHEAD = [-1, 0, 1, 2] as const;
/** A call makes no more; ingest admits nothing older than a retention class, which is at most a year. */
const MAX_DAYS = 400;
/** Key of the advisory lock under which partitions are made: the bytes "PART". */
const TURN = 0x50_41_52_54;
/** Dropping waits for readers, and whoever comes later waits for the drop: so it gives up soon and tries later. */
const DROP_LOCK_TIMEOUT_MS = 2_000;
const LOCK_NOT_AVAILABLE = '55P03';

/** Makes the partitions of one retention class for the given days (whole days since 1970, UTC) that are missing. */
export async function ensureDayPartitions(
  database: Database,
  retentionClass: number,
  days: readonly number[],
): Promise<void> {
  if (!RETENTION_CLASSES.has(retentionClass)) throw new TypeError(`There is no retention class ${retentionClass}`);
  if (days.length > MAX_DAYS) throw new TypeError(`Expected at most ${MAX_DAYS} days but received ${days.length}`);
  const wanted = TABLES.flatMap((table) => days.map((day) => partitionOf(`${table}_${retentionClass}`, day)));
  await database.inSystem((sql) => makeMissing(sql, wanted));
}

/** Makes what the next days need, for every retention class that a tenant uses and for `defaultClass`. */
export async function prepareDayPartitions(database: Database, nowMs: number, defaultClass: number): Promise<void> {
  const { rows } = await database.inSystem((sql) =>
    sql.query<{ retention_class: number }>('select distinct retention_class from tenants'),
  );
  const today = Math.floor(nowMs / DAY_MS);
  const days = DAYS_AHEAD.map((offset) => today + offset);
  for (const retentionClass of new Set([defaultClass, ...rows.map((row) => row.retention_class)])) {
    await ensureDayPartitions(database, retentionClass, days);
  }
}

/**
 * Drops the partitions whose last moment is longer ago than their class keeps, and names them. One that is being read
 * for long is left for the next run.
 */
export async function dropExpiredPartitions(database: Database, nowMs: number): Promise<string[]> {
  const today = Math.floor(nowMs / DAY_MS);
  const partitions = await database.inSystem(dayPartitions);
  const expired = partitions.filter(({ endDay, retentionClass }) => endDay + retentionClass <= today);
  const dropped: string[] = [];
  for (const { name } of expired) if (await dropSoon(database, name)) dropped.push(name);
  return dropped;
}

interface Partition {
  parent: string;
  name: string;
  from: string;
  to: string;
}

function partitionOf(parent: string, day: number): Partition {
  if (!Number.isInteger(day)) throw new TypeError(`Expected whole days since 1970 but received ${day}`);
  const from = isoDay(day);
  return { parent, name: `${parent}_${from.replaceAll('-', '')}`, from, to: isoDay(day + 1) };
}

function isoDay(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

async function makeMissing(sql: Sql, wanted: readonly Partition[]): Promise<void> {
  await sql.query('select pg_advisory_xact_lock($1)', [TURN]);
  const { rows } = await sql.query<{ name: string }>(
    `
    select name
    from unnest($1::text[]) as name
    where to_regclass(name) is null`,
    [wanted.map(({ name }) => name)],
  );
  const missing = new Set(rows.map(({ name }) => name));
  for (const partition of wanted) if (missing.has(partition.name)) await make(sql, partition);
}

/**
 * `create table … partition of` would lock the parent against everybody; attaching a table that is ready locks it
 * against other schema changes only. The names are ours, built from numbers. The app role gets no grant on a partition,
 * and row level security without a policy closes it to everybody who would name it.
 */
async function make(sql: Sql, { parent, name, from, to }: Partition): Promise<void> {
  await sql.query(`create table ${name} (like ${parent} including all excluding indexes)`);
  await sql.query(`alter table ${name} enable row level security, force row level security`);
  await sql.query(`alter table ${parent} attach partition ${name} for values from ('${from}') to ('${to}')`);
}

interface DayPartition {
  name: string;
  retentionClass: number;
  /** First day after it, since 1970. */
  endDay: number;
}

async function dayPartitions(sql: Sql): Promise<DayPartition[]> {
  const { rows } = await sql.query<{ name: string; class: string; end: string }>(
    `
    select c.relname as name, substring(parent.relname from '[0-9]+$') as class,
      substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \\(''([0-9-]{10})''\\)') as "end"
    from pg_class c
    join pg_inherits i on i.inhrelid = c.oid
    join pg_class parent on parent.oid = i.inhparent
    join pg_inherits above on above.inhrelid = parent.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
      and above.inhparent = any ($1::regclass[])
    order by 1`,
    [TABLES],
  );
  return rows
    .filter((row) => row.class !== null && row.end !== null)
    .map((row) => ({
      name: row.name,
      retentionClass: Number(row.class),
      endDay: Math.floor(Date.parse(`${row.end}T00:00:00Z`) / DAY_MS),
    }));
}

async function dropSoon(database: Database, name: string): Promise<boolean> {
  try {
    await database.inSystem(async (sql) => {
      await sql.query(`select set_config('lock_timeout', $1, true)`, [String(DROP_LOCK_TIMEOUT_MS)]);
      await sql.query(`drop table if exists ${name}`);
    });
    return true;
  } catch (error) {
    if (sqlState(error) === LOCK_NOT_AVAILABLE) return false;
    throw error;
  }
}
