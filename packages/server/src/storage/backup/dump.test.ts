// What the totals of a dump say, when the database's answers come in pieces.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { testDatabase, type TestDatabase } from '../../test/harness.ts';
import { dumped } from './dump.ts';
import type { BackupEnd } from './records.ts';

let db: TestDatabase;
let folder: string;
let proxy: Server;
const sockets = new Set<Socket>();

before(async () => {
  db = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-dump-'));
  proxy = createServer((client) => {
    const server = createConnection(join(db.socketDir, '.s.PGSQL.5432'));
    for (const socket of [client, server]) sockets.add(socket.on('error', () => {}));
    client.pipe(server);
    server.on('close', () => client.destroy());
    client.on('close', () => server.destroy());
    forwardInPieces(server, client);
  });
  await new Promise<void>((done) => proxy.listen(join(folder, '.s.PGSQL.5432'), done));
});

after(async () => {
  for (const socket of sockets) socket.destroy();
  proxy.close();
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

// CopyDone, then the first byte of CommandComplete
const DONE = Buffer.from([0x63, 0, 0, 0, 4, 0x43]);

/** What follows CopyDone comes 20 ms later, as it may over a network. */
function forwardInPieces(from: Socket, to: Socket): void {
  let turn = Promise.resolve();
  from.on('data', (bytes: Buffer) => {
    const cut = bytes.indexOf(DONE);
    const pieces =
      cut === -1 ? [bytes] : [bytes.subarray(0, cut + DONE.length - 1), bytes.subarray(cut + DONE.length - 1)];
    turn = turn.then(async () => {
      for (const [index, piece] of pieces.entries()) {
        if (index > 0) await new Promise((done) => setTimeout(done, 20));
        if (!to.destroyed) to.write(piece);
      }
    });
  });
}

test('the number of rows is known though it comes after them', async () => {
  await db.database.inSystem((sql) =>
    sql.query(`insert into tenants (tenant_id, name) select gen_random_uuid(), 'x' from generate_series(1, 100)`),
  );
  const pool = new pg.Pool({ ...db.owner, host: folder, max: 1 });
  pool.on('connect', (client) => client.on('error', () => {}));
  let end: BackupEnd | undefined;
  let bytes = 0;
  for await (const entry of dumped(pool, (told) => (end = told))) bytes += entry.length;
  await pool.end();
  assert.ok(bytes > 0);
  assert.ok((end?.rows ?? 0) >= 100, `${end?.rows} rows`);
});
