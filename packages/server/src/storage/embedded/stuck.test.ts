import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startCluster, SUPERUSER } from './cluster.ts';
import { recovers, watchStuck } from './stuck.ts';

const dataDir = await mkdtemp(join(tmpdir(), 'lumatrace-stuck-'));
const cluster = await startCluster({ dataDir, durable: false });
after(async () => {
  await cluster.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** The SQLSTATE with which a connection is refused, '' when it is taken. */
async function refusal(): Promise<string> {
  const client = new pg.Client({ ...cluster.connection(SUPERUSER, 'postgres'), connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return '';
  } catch (error) {
    return (error as { code?: string }).code ?? 'none';
  } finally {
    await client.end().catch(() => {});
  }
}

const refuses = async (): Promise<boolean> => (await refusal()) === '57P03';

async function childNamed(name: string): Promise<number | undefined> {
  const postmaster = cluster.pid();
  const children = await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8').catch(() => '');
  for (const pid of children.trim().split(' ').filter(Boolean).map(Number)) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.startsWith(`postgres: ${name}`)) return pid;
  }
  return undefined;
}

async function soon(name: string): Promise<number | undefined> {
  const deadline = performance.now() + 3_000;
  for (;;) {
    const pid = await childNamed(name);
    if (pid !== undefined || performance.now() > deadline) return pid;
  }
}

/** Kills one process, and then the startup process of the recovery that follows. */
async function leftStuck(): Promise<boolean> {
  const walWriter = await childNamed('walwriter');
  if (walWriter === undefined) return false;
  process.kill(walWriter, 'SIGKILL');
  const startup = await soon('startup');
  if (startup === undefined) return false;
  process.kill(startup, 'SIGKILL');
  await sleep(300);
  return (await refuses()) && !(await recovers(cluster.folder));
}

test('a server that waits in recovery mode without recovering is ended and starts again', async (t) => {
  if (process.platform !== 'linux') return t.diagnostic('needs /proc to bring the server into this state');
  let isStuck = false;
  for (let attempt = 0; attempt < 20 && !isStuck; attempt++) {
    isStuck = await leftStuck();
    // a kill that came too early or too late is recovered from as usual
    if (!isStuck) while ((await refusal()) !== '') await sleep(50);
  }
  assert.ok(isStuck, 'the state that the watch is for was not reached in 20 attempts');
  const lines: string[] = [];
  const { folder, pid } = cluster;
  const stop = watchStuck({ folder, pid, refuses, log: (line) => lines.push(line), everyMs: 50, patienceMs: 500 });
  while ((await refusal()) !== '') await sleep(50);
  stop();
  assert.deepEqual(lines, ['PostgreSQL waits in recovery mode and recovers nothing: ending it, to start it again.']);
});

test('a server that recovers, however slowly, is left alone', async (t) => {
  if (process.platform !== 'linux') return t.diagnostic('needs /proc to hold the startup process');
  const lines: string[] = [];
  let held: number | undefined;
  for (let attempt = 0; attempt < 20 && held === undefined; attempt++) {
    process.kill((await childNamed('walwriter')) as number, 'SIGKILL');
    held = await soon('startup');
    if (held !== undefined) process.kill(held, 'SIGSTOP');
    if (held === undefined) while ((await refusal()) !== '') await sleep(50);
  }
  assert.ok(held !== undefined);
  const before = cluster.pid();
  const { folder, pid } = cluster;
  const stop = watchStuck({ folder, pid, refuses, log: (line) => lines.push(line), everyMs: 20, patienceMs: 200 });
  await sleep(1_500);
  process.kill(held, 'SIGCONT');
  while ((await refusal()) !== '') await sleep(50);
  stop();
  assert.deepEqual(lines, []);
  assert.equal(cluster.pid(), before);
});
