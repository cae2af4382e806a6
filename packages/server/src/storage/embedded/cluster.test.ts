// The embedded server through everything that can befall it: kills of any process at any moment, leftovers, odd paths.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { runningSocketDir, startCluster, SUPERUSER, type Cluster } from './cluster.ts';
import { readPidFile, servesCluster } from './postmaster.ts';
import { settingsFile } from './settings.ts';

const root = await mkdtemp(join(tmpdir(), 'lumatrace-cluster-'));
const running = new Set<Cluster>();
after(async () => {
  for (const cluster of running) await cluster.stop();
  await rm(root, { recursive: true, force: true });
});

let folders = 0;
const newFolder = (): string => join(root, `d${folders++}`);

async function started(dataDir: string, more: Partial<Parameters<typeof startCluster>[0]> = {}): Promise<Cluster> {
  const cluster = await startCluster({ dataDir, ...more });
  running.add(cluster);
  return cluster;
}

async function stopped(cluster: Cluster): Promise<void> {
  running.delete(cluster);
  await cluster.stop();
}

async function query(cluster: Cluster, text: string): Promise<Array<Record<string, unknown>>> {
  const client = new pg.Client(cluster.connection(SUPERUSER, 'postgres'));
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Another process that starts the cluster of a folder and then only waits: to be killed. */
async function otherProcess(dataDir: string): Promise<ChildProcess> {
  const module = fileURLToPath(new URL('./cluster.ts', import.meta.url));
  const code = `
    const { startCluster } = await import(${JSON.stringify(module)});
    await startCluster({ dataDir: ${JSON.stringify(dataDir)} });
    process.stdout.write('ready');
    setInterval(() => {}, 1000);`;
  return spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function saysReady(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', () => reject(new Error('ended before it was ready')));
  });
}

/** kill -9, as often as it takes to be gone; a pid of 0 is nobody. */
async function killed(pid: number): Promise<void> {
  if (pid === 0) return;
  for (;;) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      return;
    }
    await sleep(5);
  }
}

test('a cluster is made once, keeps its rows, has checksums, and listens on a private socket only', async () => {
  const dataDir = newFolder();
  const cluster = await started(dataDir);
  await query(cluster, 'create table kept (n int); insert into kept values (7)');
  assert.deepEqual(
    await query(
      cluster,
      `select current_setting('data_checksums') as sums, current_setting('server_encoding') as encoding,
        current_setting('listen_addresses') as addresses, current_setting('fsync') as fsync,
        current_setting('synchronous_commit') as commit, current_setting('full_page_writes') as pages`,
    ),
    [{ sums: 'on', encoding: 'UTF8', addresses: '', fsync: 'on', commit: 'on', pages: 'on' }],
  );
  assert.equal((await stat(cluster.socketDir)).mode & 0o777, 0o700);
  await stopped(cluster);
  assert.equal(await runningSocketDir(cluster.folder), undefined);
  const again = await started(dataDir);
  assert.deepEqual(await query(again, 'select n from kept'), [{ n: 7 }]);
  assert.equal(await runningSocketDir(again.folder), again.socketDir);
  await stopped(again);
});

test('when only the process that started it is killed, the next start finds every committed row', async () => {
  const dataDir = newFolder();
  const other = await otherProcess(dataDir);
  await saysReady(other);
  const folder = join(dataDir, 'postgres');
  const socketDir = (await runningSocketDir(folder)) as string;
  const client = new pg.Client({ host: socketDir, port: 5432, user: SUPERUSER, database: 'postgres', ssl: false });
  client.on('error', () => {});
  await client.connect();
  await client.query('create table kept as select generate_series(1, 1000) as n');
  await killed(other.pid as number);
  const cluster = await started(dataDir);
  assert.deepEqual(await query(cluster, 'select count(*)::int as n from kept'), [{ n: 1000 }]);
  await client.end().catch(() => undefined);
  await stopped(cluster);
});

test('a server that outlived its process is ended before the next one starts', async () => {
  const dataDir = newFolder();
  const other = await otherProcess(dataDir);
  await saysReady(other);
  const orphan = (await readPidFile(join(dataDir, 'postgres')))?.pid ?? 0;
  await killed(other.pid as number);
  const cluster = await started(dataDir);
  assert.notEqual(cluster.pid(), orphan);
  assert.equal(await servesCluster(orphan, cluster.folder), false);
  await stopped(cluster);
});

test('a lock file of a dead server is removed, also when its pid belongs to somebody else now', async () => {
  const dataDir = newFolder();
  const first = await started(dataDir);
  await stopped(first);
  const bystander = spawn('sleep', ['60']);
  try {
    for (const pid of [bystander.pid, 4_194_303, process.pid]) {
      await writeFile(join(first.folder, 'postmaster.pid'), `${pid}\n${first.folder}\n1\n5432\n\n\n\nready\n`);
      const cluster = await started(dataDir);
      await stopped(cluster);
    }
    await writeFile(join(first.folder, 'postmaster.pid'), '');
    await stopped(await started(dataDir));
    assert.equal(bystander.exitCode, null);
  } finally {
    bystander.kill('SIGKILL');
  }
});

test('a killed server is started again under its living process, and no committed row is lost', async () => {
  const dataDir = newFolder();
  const lines: string[] = [];
  const cluster = await started(dataDir, { log: (line) => lines.push(line) });
  await query(cluster, 'create table kept as select generate_series(1, 1000) as n');
  const first = cluster.pid();
  process.kill(first, 'SIGKILL');
  const deadline = performance.now() + 20_000;
  for (;;) {
    const rows = await query(cluster, 'select count(*)::int as n from kept').catch(() => undefined);
    if (rows !== undefined && cluster.pid() !== first) {
      assert.deepEqual(rows, [{ n: 1000 }]);
      break;
    }
    assert.ok(performance.now() < deadline, lines.join('\n'));
    await sleep(50);
  }
  // it answers queries a moment before its keeper knows that it runs
  while (!lines.some((line) => line.includes('runs again'))) {
    assert.ok(performance.now() < deadline, lines.join('\n'));
    await sleep(50);
  }
  await stopped(cluster);
});

test('a server that dies again and again is given up, once, in bounded time', async () => {
  const lost: Error[] = [];
  const cluster = await started(newFolder(), { onLost: (error) => lost.push(error) });
  const deadline = performance.now() + 60_000;
  while (lost.length === 0 && performance.now() < deadline) {
    await killed(cluster.pid());
    await sleep(20);
  }
  assert.equal(lost.length, 1);
  await stopped(cluster);
});

test('a kill in the middle of making the cluster leaves nothing that the next start trips over', async () => {
  for (const afterMs of [150, 250, 350, 450]) {
    const dataDir = newFolder();
    const other = await otherProcess(dataDir);
    await sleep(afterMs);
    await killed(other.pid as number);
    const cluster = await started(dataDir);
    assert.equal((await query(cluster, 'select 1 as n')).length, 1);
    const leftovers = (await readdir(dataDir)).filter((name) => name.includes('.new-'));
    assert.deepEqual(leftovers, []);
    await stopped(cluster);
  }
});

test('a long path, with spaces and quotes in it, gets a short private socket folder', async () => {
  const dataDir = join(root, `it's a "long" path, ${'x'.repeat(90)}`);
  const cluster = await started(dataDir);
  assert.ok(Buffer.byteLength(join(cluster.socketDir, '.s.PGSQL.5432')) <= 107);
  assert.equal((await stat(cluster.socketDir)).mode & 0o777, 0o700);
  assert.equal((await query(cluster, 'select 1 as n')).length, 1);
  await stopped(cluster);
  await rm(cluster.socketDir, { recursive: true, force: true });
});

test("an operator's own settings are read last", async () => {
  const dataDir = newFolder();
  await mkdir(dataDir, { recursive: true });
  await writeFile(join(dataDir, 'postgres.conf'), "work_mem = '9MB'\n");
  const cluster = await started(dataDir);
  assert.deepEqual(await query(cluster, `select current_setting('work_mem') as work_mem`), [{ work_mem: '9MB' }]);
  await stopped(cluster);
});

test('a cluster of another major version is refused with what to do', async () => {
  const dataDir = newFolder();
  await stopped(await started(dataDir));
  await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '12\n');
  await assert.rejects(startCluster({ dataDir }), /made by PostgreSQL 12, this version brings \d+.*backup/s);
});

test('a server that cannot start says why', async () => {
  const dataDir = newFolder();
  await assert.rejects(started(dataDir, { settings: { shared_buffers: "'nonsense'" } }), /shared_buffers/);
});

test('row values and statements never reach the log', async () => {
  const lines: string[] = [];
  const cluster = await started(newFolder(), { log: (line) => lines.push(line) });
  await query(cluster, 'create table secrets (word text primary key)');
  await query(cluster, `insert into secrets values ('canary-value')`);
  await assert.rejects(query(cluster, `insert into secrets values ('canary-value')`));
  await assert.rejects(query(cluster, `select 'canary-value'::int`));
  await stopped(cluster);
  assert.ok(lines.length > 0);
  assert.ok(!lines.some((line) => line.includes('canary')));
});

test('without user namespaces root keeps the cluster elsewhere, under an unprivileged user', async (t) => {
  if (process.geteuid?.() !== 0) return t.diagnostic('needs root');
  const dataDir = newFolder();
  const cluster = await started(dataDir, { mode: 'dropped' });
  const home = join(cluster.folder, '..');
  try {
    assert.ok(cluster.folder.startsWith('/var/lib/lumatrace/'));
    assert.equal((await stat(cluster.folder)).uid, 65534);
    assert.match(await readFile(`/proc/${cluster.pid()}/status`, 'utf8'), /^Uid:\s+65534\s/m);
    await query(cluster, 'create table kept (n int)');
    await stopped(cluster);
    // the place that holds the cluster wins, whatever would be chosen today
    const again = await started(dataDir);
    assert.equal(again.mode, 'dropped');
    assert.deepEqual(await query(again, 'select n from kept'), []);
    await stopped(again);
  } finally {
    running.delete(cluster);
    await cluster.stop();
    await rm(home, { recursive: true, force: true });
  }
});

test('a settings file quotes what could end a value', () => {
  const text = settingsFile("/a'b\\c", {}, undefined);
  assert.ok(text.includes("unix_socket_directories = '/a''b\\\\c'"));
});

test('a pid file that is cut short is not a server', async () => {
  const folder = newFolder();
  await mkdir(folder, { recursive: true });
  assert.equal(await readPidFile(folder), undefined);
  await writeFile(join(folder, 'postmaster.pid'), 'nonsense');
  assert.equal(await readPidFile(folder), undefined);
  assert.ok(existsSync(join(folder, 'postmaster.pid')));
});
