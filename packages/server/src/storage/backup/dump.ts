// Out of a database: one snapshot of every table as a stream of entries, read as fast as it is taken and no faster.
import type pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import {
  columnList,
  listPartitions,
  listSequences,
  listTables,
  requireEverythingVisible,
  tableName,
} from './catalogue.ts';
import { encodeEntry, type BackupEnd, type Contents, type TableStart } from './records.ts';

/** Smaller pieces are joined: a record per row would cost more than the row. */
const PIECE_BYTES = 64 * 1024;

/**
 * Every row of one REPEATABLE READ snapshot, encoded. Nobody who writes waits for it; who drops a partition does.
 * `told` gets the totals after the last entry.
 */
export async function* dumped(owner: pg.Pool, told: (end: BackupEnd) => void): AsyncGenerator<Buffer> {
  const client = await owner.connect();
  try {
    await client.query('begin isolation level repeatable read read only');
    await client.query(`select set_config('app.backup', 'on', true)`);
    await requireEverythingVisible(client);
    const tables = await listTables(client);
    if (tables.length > 0) await client.query(`lock table ${tables.map(tableName).join(', ')} in access share mode`);
    yield encodeEntry({ type: 'contents', contents: await contentsOf(client) });
    let rows = 0;
    for (const table of tables) rows += yield* dumpedTable(client, table);
    const end = { tables: tables.length, rows, sequences: await listSequences(client) };
    yield encodeEntry({ type: 'end', end });
    await client.query('commit');
    told(end);
  } finally {
    // also when the reader went away in the middle of a COPY: the connection is of no further use
    client.release(true);
  }
}

async function contentsOf(client: pg.ClientBase): Promise<Contents> {
  const migrations = await client.query<Contents['migrations'][number]>(
    'select version, name, sha256 from schema_migrations order by version',
  );
  const server = await client.query<{ version: string }>(`select current_setting('server_version') as version`);
  return {
    createdAt: new Date().toISOString(),
    postgres: server.rows[0]?.version ?? '',
    migrations: migrations.rows,
    partitions: await listPartitions(client),
  };
}

async function* dumpedTable(client: pg.PoolClient, table: TableStart): AsyncGenerator<Buffer, number> {
  yield encodeEntry({ type: 'table', table });
  const question = `copy (select ${columnList(table)} from ${tableName(table)}) to stdout (format binary)`;
  const copy = client.query(copyTo(question));
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const piece of copy as AsyncIterable<Buffer>) {
    held.push(piece);
    heldBytes += piece.length;
    if (heldBytes < PIECE_BYTES) continue;
    yield encodeEntry({ type: 'copy', bytes: Buffer.concat(held, heldBytes) });
    held = [];
    heldBytes = 0;
  }
  yield encodeEntry({ type: 'copy', bytes: Buffer.concat(held, heldBytes) });
  // the stream ends when the rows do; how many they were, or that something failed after all, comes in a later message
  await client.query('select 1');
  const rows = copy.rowCount;
  yield encodeEntry({ type: 'tableEnd', end: { rows } });
  return rows;
}
