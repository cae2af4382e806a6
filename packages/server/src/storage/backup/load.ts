// Into an empty database: schema, partitions and rows in one transaction, so that a restore is there whole or not at all.
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { makeSchema, type Migration } from '../migrate.ts';
import { columnList, tableName } from './catalogue.ts';
import { BackupRefused } from './container.ts';
import type { BackupEnd, Contents, Entry, TableStart } from './records.ts';

export interface Restored {
  createdAt: string;
  tables: Array<{ name: string; rows: number }>;
}

/** Bounds as the catalogue prints them; they come from an authenticated file and are still looked at. */
const BOUND = /^FOR VALUES FROM \('[0-9-]{10}'\) TO \('[0-9-]{10}'\)$|^DEFAULT$/;
const PLAIN_NAME = /^[a-z_][a-z0-9_]{0,62}$/;

/**
 * The database holds the queue's schema, made by its own library, and no table of ours. `beforeCommit` runs when every row
 * is there and nobody sees one yet.
 * @throws BackupRefused for a database in use, or a backup that this program does not fit.
 */
export async function load(
  owner: pg.Pool,
  entries: AsyncGenerator<Entry>,
  migrations: readonly Migration[],
  beforeCommit: () => Promise<void>,
): Promise<Restored> {
  const client = await owner.connect();
  try {
    await refuseUsed(client);
    const first = await entries.next();
    if (first.done === true || first.value.type !== 'contents') throw new BackupRefused('The backup has no contents.');
    const { contents } = first.value;
    const wanted = migrationsOf(contents, migrations);
    await client.query('begin');
    const tables = await loadAll(client, contents, wanted, entries);
    await beforeCommit();
    await client.query('commit');
    await client.query('analyze').catch(() => undefined);
    return { createdAt: contents.createdAt, tables };
  } finally {
    // closing the connection takes back what was not committed
    client.release(true);
  }
}

async function refuseUsed(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') limit 1`,
  );
  if (rows.length === 0) return;
  throw new BackupRefused('There is data already. Restore into an empty data folder (--data) or an empty database.');
}

/** The migrations that made the backup, taken from this program. */
function migrationsOf({ migrations: made }: Contents, known: readonly Migration[]): Migration[] {
  return made.map(({ version, name, sha256 }) => {
    const mine = known.find((migration) => migration.version === version);
    if (mine?.sha256 === sha256) return mine;
    const label = `${String(version).padStart(4, '0')}_${name}`;
    throw new BackupRefused(
      mine === undefined
        ? `The backup was made by a newer LumaTrace: it knows the migration ${label}. Restore it with that version.`
        : `The migration ${label} of the backup differs from the one of this version. Restore it with the version that made it.`,
    );
  });
}

async function loadAll(
  client: pg.PoolClient,
  { partitions }: Contents,
  migrations: readonly Migration[],
  entries: AsyncGenerator<Entry>,
): Promise<Restored['tables']> {
  await makeSchema(client, migrations);
  for (const partition of partitions) await makePartition(client, partition);
  // COPY is refused under row level security; nobody else sees these tables before the commit
  const forced = await forcedTables(client);
  for (const name of forced) await client.query(`alter table ${name} no force row level security`);
  const tables: Restored['tables'] = [];
  for (;;) {
    const { done, value: entry } = await entries.next();
    if (done === true) throw new BackupRefused('The backup ends in the middle.');
    if (entry.type === 'end') {
      await goOn(client, entry.end);
      refuseMissing(tables, entry.end);
      break;
    }
    if (entry.type !== 'table') throw new BackupRefused(`Expected a table in the backup but found ${entry.type}.`);
    tables.push(await loadTable(client, entry.table, entries));
  }
  await client.query(FREE_JOBS);
  for (const name of forced) await client.query(`alter table ${name} force row level security`);
  return tables;
}

/** Jobs that ran when the backup was made run again: nobody works on them here. */
const FREE_JOBS = `
  update graphile_worker._private_jobs set locked_at = null, locked_by = null where locked_by is not null;
  update graphile_worker._private_job_queues set locked_at = null, locked_by = null where locked_by is not null`;

async function makePartition(client: pg.ClientBase, partition: Contents['partitions'][number]): Promise<void> {
  const { name, parent, bound } = partition;
  if (![name, parent].every((word) => PLAIN_NAME.test(word)) || !BOUND.test(bound)) {
    throw new BackupRefused(`The backup names a partition that cannot be made here: ${name} of ${parent} ${bound}.`);
  }
  const { rows } = await client.query<{ there: boolean }>('select to_regclass($1) is not null as there', [name]);
  if (rows[0]?.there === true) return;
  await client.query(`create table ${name} partition of ${parent} ${bound === 'DEFAULT' ? 'default' : bound}`);
}

async function forcedTables(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition and c.relforcerowsecurity`);
  return rows.map(({ name }) => name);
}

async function loadTable(
  client: pg.PoolClient,
  table: TableStart,
  entries: AsyncGenerator<Entry>,
): Promise<Restored['tables'][number]> {
  const name = tableName(table);
  const copy = client.query(copyFrom(`copy ${name} (${columnList(table)}) from stdin (format binary)`));
  const ended = finished(copy);
  // a failure of the server shows at the next wait; until then nobody listens
  ended.catch(() => undefined);
  for (;;) {
    const { done, value: entry } = await entries.next();
    if (done === true) throw new BackupRefused('The backup ends in the middle.');
    if (entry.type === 'copy') {
      if (!copy.write(entry.bytes)) await Promise.race([once(copy, 'drain'), ended]);
      continue;
    }
    if (entry.type !== 'tableEnd') throw new BackupRefused(`Expected rows in the backup but found ${entry.type}.`);
    copy.end();
    await ended;
    const rows = await countRows(client, name);
    if (rows === entry.end.rows) return { name: table.name, rows };
    throw new BackupRefused(`Expected ${entry.end.rows} rows in ${name} but ${rows} are there.`);
  }
}

async function countRows(client: pg.ClientBase, name: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(`select count(*) from ${name}`);
  return Number(rows[0]?.count);
}

async function goOn(client: pg.ClientBase, { sequences }: BackupEnd): Promise<void> {
  for (const { schema, table, column, last, isCalled } of sequences) {
    await client.query(
      `select setval(pg_get_serial_sequence(format('%I.%I', $1::text, $2::text), $3), $4::bigint, $5)`,
      [schema, table, column, last, isCalled],
    );
  }
}

function refuseMissing(tables: Restored['tables'], end: BackupEnd): void {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  if (tables.length === end.tables && rows === end.rows) return;
  throw new BackupRefused(`Expected ${end.rows} rows of ${end.tables} tables but found ${rows} of ${tables.length}.`);
}
