// Backups prove themselves by being restored: every row of every table, while the source goes on working.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { pino } from 'pino';
import { backup, restore } from './archive.ts';
import { readInvocation, type Config } from './config.ts';
import { checkKek, kekPath, openKek, takeDataFolder } from './data-folder.ts';
import { startJobs } from './jobs/jobs.ts';
import { listTables, tableName } from './storage/backup/catalogue.ts';
import { existingCluster } from './storage/embedded/cluster.ts';
import type { FolderLock } from './storage/lock.ts';
import { migrate, readMigrations } from './storage/migrate.ts';
import { openStorage, type Storage } from './storage/open.ts';
import { ensureDayPartitions } from './storage/postgres/partitions.ts';
import { testDatabase, type TestDatabase } from './test/harness.ts';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const CANARY = `canary-${randomUUID()}`;
const TENANT = randomUUID();

const root = await mkdtemp(join(tmpdir(), 'lumatrace-archive-'));
const source = configOf(join(root, 'source'));
let lock: FolderLock;
let storage: Storage;

before(async () => {
  // as `up` does: a backup then joins the server that runs here
  lock = await takeDataFolder(source.dataDir);
  const kek = await openKek(kekPath(source.dataDir, undefined), () => Promise.resolve(false));
  storage = await prepared(source, kek.bytes);
  await fill(storage);
});

after(async () => {
  await storage.close();
  await lock.release();
  await rm(root, { recursive: true, force: true });
});

function configOf(dataDir: string, environment: Record<string, string> = {}): Config {
  return readInvocation(['up', '--data', dataDir], environment).config;
}

async function prepared(config: Config, kek: Buffer): Promise<Storage> {
  const { dataDir, databaseUrl } = config;
  const opened = await openStorage({ dataDir, databaseUrl });
  await migrate(opened.database.ownerPool, await readMigrations(), { takesRole: opened.takesRole });
  await checkKek(opened.database, kek, 'kek');
  return opened;
}

async function fill({ database }: Storage): Promise<void> {
  await database.inSystem((sql) =>
    sql.query('insert into tenants (tenant_id, name) values ($1, $2)', [TENANT, `Tenant ${CANARY}`]),
  );
  await ensureDayPartitions(database, 7, [20_000, 20_001]);
  await database.inTenant(TENANT, async (sql) => {
    await sql.query(
      `insert into audit (tenant_id, actor, action, object, outcome, detail)
       select $1, 'key:' || n, 'test', $2, 'done', jsonb_build_object('n', n) from generate_series(1, 20000) as n`,
      [TENANT, CANARY],
    );
    // larger than a chunk of the file, incompressible
    await sql.query(
      `insert into content_blocks (tenant_id, day, block_id, retention_class, sealed)
       values ($1, date '1970-01-01' + 20000, gen_random_uuid(), 7, $2), ($1, date '1970-01-01' + 20001, gen_random_uuid(), 7, $3)`,
      [TENANT, randomBytes(3_000_000), Buffer.alloc(0)],
    );
  });
  const jobs = await startJobs({
    pool: database.ownerPool,
    handlers: {},
    log: pino({ level: 'silent' }),
    isAlone: true,
  });
  await jobs.enqueue('later', { n: 1 }, { runAt: new Date('2100-01-01') });
  await jobs.stop();
}

/** A digest of every row of every table, in an order of its own. */
async function digests({ database }: Storage): Promise<Record<string, string>> {
  const client = await database.ownerPool.connect();
  try {
    await client.query('begin');
    await client.query(`select set_config('app.backup', 'on', true)`);
    const found: Record<string, string> = {};
    for (const table of await listTables(client)) {
      const { rows } = await client.query<{ row: string }>(
        `select t::text as row from ${tableName(table)} as t order by t::text collate "C"`,
      );
      const hash = createHash('sha256');
      for (const { row } of rows) hash.update(`${row}\n`);
      found[tableName(table)] = `${rows.length} rows, ${hash.digest('hex')}`;
    }
    return found;
  } finally {
    await client.query('rollback');
    client.release();
  }
}

test('a restored backup has every row of every table, sequences go on, and the key is the same', async () => {
  const file = join(root, 'full.backup');
  // the source is open and goes on: the backup joins the running server
  const written = await backup(source, file);
  assert.ok(written.rows > 20_000);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const target = configOf(join(root, 'target'));
  const restored = await restore(target, file, kekPath(source.dataDir, undefined));
  assert.equal(
    restored.tables.reduce((sum, { rows }) => sum + rows, 0),
    written.rows,
  );
  const key = await readFile(kekPath(source.dataDir, undefined));
  assert.deepEqual(await readFile(kekPath(target.dataDir, undefined)), key);
  const opened = await openStorage({ dataDir: target.dataDir });
  try {
    assert.deepEqual(await digests(opened), await digests(storage));
    await opened.database.inTenant(TENANT, async (sql) => {
      const { rows } = await sql.query<{ seq: string }>(
        `insert into audit (tenant_id, actor, action, object, outcome) values ($1, 'x', 'x', 'x', 'x') returning seq`,
        [TENANT],
      );
      assert.ok(Number(rows[0]?.seq) > 20_000);
    });
    // closed again, and readable for the next backup
    const closed = await opened.database.inSystem((sql) => sql.query('select from audit'));
    assert.equal(closed.rowCount, 0);
    assert.equal(await migrate(opened.database.ownerPool, await readMigrations()), 0);
  } finally {
    await opened.close();
  }
});

test('rows written while the backup runs are in it whole or not at all', async () => {
  const { database } = storage;
  const ending = new AbortController();
  const writer = (async () => {
    for (let pair = 0; !ending.signal.aborted; pair++) {
      await database.inTenant(TENANT, async (sql) => {
        for (const half of ['left', 'right']) {
          await sql.query(
            `insert into audit (tenant_id, actor, action, object, outcome) values ($1, 'pair', $2, $3, 'done')`,
            [TENANT, half, `pair ${pair}`],
          );
        }
      });
    }
  })();
  const file = join(root, 'busy.backup');
  await backup(source, file).finally(() => ending.abort());
  await writer;
  const target = configOf(join(root, 'busy'));
  await restore(target, file, kekPath(source.dataDir, undefined));
  const opened = await openStorage({ dataDir: target.dataDir });
  try {
    const { rows } = await opened.database.inTenant(TENANT, (sql) =>
      sql.query<{ pairs: number; halves: number }>(
        `select count(*)::int as pairs, coalesce(sum((n <> 2)::int), 0)::int as halves
         from (select count(*) as n from audit where actor = 'pair' group by object) as pairs`,
      ),
    );
    assert.equal(rows[0]?.halves, 0);
  } finally {
    await opened.close();
  }
});

test('nothing readable is in the file, and the key is not in it either', async () => {
  const bytes = await readFile(join(root, 'full.backup'));
  const key = (await readFile(kekPath(source.dataDir, undefined), 'utf8')).trim();
  for (const secret of [CANARY, 'tenants', 'create table', key]) {
    assert.ok(!bytes.includes(secret), secret);
    assert.ok(!bytes.includes(Buffer.from(secret, 'utf16le')), secret);
  }
  assert.ok(!bytes.includes(Buffer.from(key, 'hex')));
});

test('a file that was cut, edited, reordered, lengthened or made under another key is refused and leaves nothing', async () => {
  const whole = await readFile(join(root, 'full.backup'));
  const header = 46;
  const chunk = 256 * 1024 + 16;
  assert.ok(whole.length > header + 3 * chunk, 'the backup has several chunks');
  const chunkAt = (n: number): Buffer => whole.subarray(header + n * chunk, header + (n + 1) * chunk);
  const flipped = Buffer.from(whole);
  flipped.writeUInt8(flipped.readUInt8(header + chunk + 99) ^ 1, header + chunk + 99);
  const salted = Buffer.from(whole);
  salted.writeUInt8(salted.readUInt8(20) ^ 1, 20);
  const bad: Record<string, Buffer> = {
    empty: Buffer.alloc(0),
    'no backup': Buffer.from('hello'),
    'cut in the header': whole.subarray(0, 20),
    'cut after the header': whole.subarray(0, header),
    'cut in a chunk': whole.subarray(0, header + chunk + 7),
    'cut between chunks': whole.subarray(0, header + 2 * chunk),
    'last byte cut': whole.subarray(0, whole.length - 1),
    'bit flipped': flipped,
    'salt changed': salted,
    'chunks swapped': Buffer.concat([
      whole.subarray(0, header),
      chunkAt(1),
      chunkAt(0),
      whole.subarray(header + 2 * chunk),
    ]),
    'chunk left out': Buffer.concat([whole.subarray(0, header + chunk), whole.subarray(header + 2 * chunk)]),
    lengthened: Buffer.concat([whole, Buffer.from('x')]),
    'other version': Buffer.concat([whole.subarray(0, 8), Buffer.from([0, 2]), whole.subarray(10)]),
  };
  const kek = kekPath(source.dataDir, undefined);
  const target = configOf(join(root, 'refused'));
  const file = join(root, 'bad.backup');
  for (const [name, bytes] of Object.entries(bad)) {
    await writeFile(file, bytes);
    await assert.rejects(restore(target, file, kek), { code: 'VALIDATION_FAILED' }, name);
    assert.equal(await existingCluster(target.dataDir), undefined, name);
    await assert.rejects(stat(kekPath(target.dataDir, undefined)), name);
  }
  const otherKey = join(root, 'other-kek');
  await writeFile(otherKey, `${randomBytes(32).toString('hex')}\n`);
  await assert.rejects(restore(target, join(root, 'full.backup'), otherKey), /another key/);
});

test('a folder or database in use is never restored into', async () => {
  const target = configOf(join(root, 'target'));
  await assert.rejects(restore(target, join(root, 'full.backup'), undefined), /There is data already/);
  const opened = await openStorage({ dataDir: target.dataDir });
  const { rows } = await opened.database.inTenant(TENANT, (sql) =>
    sql.query<{ n: number }>('select count(*)::int as n from audit'),
  );
  await opened.close();
  assert.ok((rows[0]?.n ?? 0) > 20_000);
});

test('an existing file is never replaced', async () => {
  await assert.rejects(backup(source, join(root, 'full.backup')), /exists already/);
});

test('with DATABASE_URL the owner, bound by row level security like anybody, backs up and restores everything', async () => {
  const [from, to] = [await testDatabase({ migrated: false }), await testDatabase({ migrated: false })];
  const operator = `operator_${from.name}`;
  const admin = new pg.Client(from.superuser);
  await admin.connect();
  try {
    await admin.query(`create role ${operator} login; grant lumatrace_app to ${operator}`);
    for (const { name } of [from, to]) await admin.query(`alter database ${name} owner to ${operator}`);
    const kek = randomBytes(32);
    const keyFile = join(root, 'external-kek');
    await writeFile(keyFile, `${kek.toString('hex')}\n`);
    await chmod(keyFile, 0o400);
    const at = ({ url }: TestDatabase): Config =>
      configOf(join(root, 'external'), {
        DATABASE_URL: url.owner.replace('//lumatrace_owner@', `//${operator}@`),
        LUMATRACE_KEK_FILE: keyFile,
      });
    const opened = await prepared(at(from), kek);
    await fill(opened);
    const bound = await opened.database.inSystem((sql) => sql.query('select from audit'));
    assert.equal(bound.rowCount, 0);
    const file = join(root, 'external.backup');
    await backup(at(from), file);
    await restore(at(to), file, undefined);
    const copy = await openStorage({ dataDir: root, databaseUrl: at(to).databaseUrl });
    assert.deepEqual(await digests(copy), await digests(opened));
    await Promise.all([copy.close(), opened.close()]);
  } finally {
    await admin.end();
    const cleaner = new pg.Client({ ...from.superuser, database: 'postgres' });
    await Promise.all([from.close(), to.close()]);
    await cleaner.connect();
    await cleaner.query(`drop role if exists ${operator}`);
    await cleaner.end();
  }
});

test('a database whose owner may not see every row is not backed up in part', async () => {
  const file = join(root, 'partial.backup');
  await storage.database.inSystem((sql) => sql.query('drop policy backup on audit'));
  try {
    await assert.rejects(backup(source, file), /does not see every row of public.audit.*pg_dump/s);
    await assert.rejects(stat(file));
  } finally {
    await migrate(storage.database.ownerPool, await readMigrations());
  }
});

test('the commands say what they did, and that the key is not in the file', async () => {
  const file = join(root, 'command.backup');
  const made = await run(process.execPath, [MAIN, 'backup', file, '--data', source.dataDir]);
  assert.match(
    made.stderr,
    /rows of \d+ tables, encrypted\. The key that opens it is not in it: keep a copy of .*kek elsewhere/,
  );
  const dataDir = join(root, 'command');
  const failed = await run(process.execPath, [MAIN, 'restore', file, '--data', dataDir]).catch(
    (error: unknown) => error,
  );
  assert.equal((failed as { code: number }).code, 1);
  assert.match((failed as { stderr: string }).stderr, /--kek FILE/);
  const kek = kekPath(source.dataDir, undefined);
  const done = await run(process.execPath, [MAIN, 'restore', file, '--data', dataDir, '--kek', kek]);
  assert.match(done.stdout, /Restored \d+ rows of \d+ tables from the backup of .*, each counted/);
});
