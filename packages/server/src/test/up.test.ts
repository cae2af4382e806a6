// `up` as its user meets it: what it prints, how it ends, what it refuses, and what a kill leaves.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { copyFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { operatedDatabase } from './harness.ts';
import { freePort, startInstance, type Instance } from './instance.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const root = await mkdtemp(join(tmpdir(), 'lumatrace-up-'));
let instance: Instance;

before(async () => {
  instance = await startInstance({ dataDir: join(root, 'data') });
});

after(async () => {
  await instance.stop();
  await rm(root, { recursive: true, force: true, maxRetries: 5 });
});

interface Ended {
  code: number | null;
  output: string;
}

async function ended(child: ChildProcess): Promise<Ended> {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return ended(
    spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }),
  );
}

async function upOn(dataDir: string, port: number): Promise<Ended> {
  const others = ['--otlp-port', String(await freePort()), '--grpc-port', String(await freePort())];
  return run(['up', '--data', dataDir, '--port', String(port), ...others]);
}

async function restarted(): Promise<void> {
  instance = await startInstance({ dataDir: instance.dataDir });
}

test('the ready line is the one of the contract, and both loopback addresses answer', async () => {
  const { http } = instance.ports;
  assert.ok(serversOf(instance.dataDir).length > 1, 'PostgreSQL is seen while it runs');
  assert.match(instance.output(), new RegExp(`^LumaTrace is ready on http://localhost:${http}$`, 'm'));
  for (const path of ['/health/live', '/health/ready']) {
    assert.equal((await fetch(`http://127.0.0.1:${http}${path}`)).status, 200, path);
  }
});

test('a second start on the same data says who has it, and leaves that alone', async () => {
  const { code, output } = await upOn(instance.dataDir, await freePort());
  assert.equal(code, 1);
  assert.ok(output.includes(`process ${instance.process.pid}`), output);
  assert.ok(output.includes(instance.url), output);
  assert.equal((await fetch(`${instance.url}/health/ready`)).status, 200);
});

test('a taken port is named, and nothing is left running', async () => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const { port } = blocker.address() as AddressInfo;
  try {
    const dataDir = join(root, 'blocked');
    const { code, output } = await upOn(dataDir, port);
    assert.equal(code, 1);
    assert.match(output, new RegExp(`Port ${port} on .* is taken.*--port`));
    assert.deepEqual(serversOf(dataDir), []);
  } finally {
    blocker.close();
  }
});

test('wrong use ends with 2 and the usage, a bad variable with 2 and its name', async () => {
  const wrong = await run(['up', '--prot', '1']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.output, /Usage: \.\/lumatrace up/);
  const bad = await run(['up'], { LUMATRACE_PORT: 'many' });
  assert.equal(bad.code, 2);
  assert.match(bad.output, /LUMATRACE_PORT: Expected a whole number/);
});

test('SIGTERM and Ctrl-C end everything in order with 0', async () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const child = instance.process;
    const gone = once(child, 'exit');
    child.kill(signal);
    assert.deepEqual(await gone, [0, null], signal);
    assert.deepEqual(serversOf(instance.dataDir), [], signal);
    await restarted();
  }
});

test('a killed LumaTrace comes back with the same login data, and no hand is needed', async () => {
  const { firstRun } = instance;
  for (let kill = 0; kill < 3; kill++) {
    const gone = once(instance.process, 'exit');
    instance.process.kill('SIGKILL');
    await gone;
    await restarted();
    assert.deepEqual(instance.firstRun.apiKey, firstRun.apiKey);
    const answer = await fetch(`${instance.url}/api/traces`, {
      headers: { authorization: `Bearer ${firstRun.apiKey}` },
    });
    assert.equal(answer.status, 200);
  }
});

test('when PostgreSQL is killed, requests wait or are told to, and then it serves again', async () => {
  const [server] = serversOf(instance.dataDir);
  assert.ok(server !== undefined);
  process.kill(server, 'SIGKILL');
  const statuses = new Set<number>();
  const deadline = performance.now() + 20_000;
  for (;;) {
    const { status } = await fetch(`${instance.url}/health/ready`);
    statuses.add(status);
    const [now] = serversOf(instance.dataDir);
    if (status === 200 && now !== undefined && now !== server) break;
    assert.ok(performance.now() < deadline, 'PostgreSQL did not come back');
    await sleep(20);
  }
  assert.deepEqual(
    [...statuses].filter((status) => status !== 200 && status !== 503),
    [],
  );
});

test('a missing key beside data stops the start, a wrong one too, and both say what to do', async () => {
  const kek = join(instance.dataDir, 'kek');
  await instance.stop();
  await rename(kek, join(root, 'kek.kept'));
  const missing = await upOn(instance.dataDir, await freePort());
  assert.equal(missing.code, 1);
  assert.match(missing.output, /key .*kek is missing.*Put your copy of it back/s);
  await writeFile(kek, `${'ab'.repeat(32)}\n`, { mode: 0o400 });
  const wrong = await upOn(instance.dataDir, await freePort());
  assert.equal(wrong.code, 1);
  assert.match(wrong.output, /is not the one that this database was encrypted under/);
  await rm(kek);
  await copyFile(join(root, 'kek.kept'), kek);
  await restarted();
});

test('with DATABASE_URL it serves from that PostgreSQL as a plain owner, and starts none of its own', async () => {
  const operated = await operatedDatabase();
  try {
    const dataDir = join(root, 'external');
    const env = { DATABASE_URL: operated.operatorUrl };
    for (const start of ['first', 'second']) {
      const external = await startInstance({ dataDir, env });
      try {
        const { apiKey } = external.firstRun;
        const headers = { authorization: `Bearer ${apiKey}` };
        assert.equal((await fetch(`${external.url}/api/traces`, { headers })).status, 200, start);
        assert.deepEqual(serversOf(dataDir), [], start);
      } finally {
        await external.stop();
      }
    }
  } finally {
    await operated.close();
  }
});

/** Pids of the PostgreSQL processes of a data folder; each stands in its cluster. Its postmaster is the oldest. */
function serversOf(dataDir: string): number[] {
  const cluster = join(dataDir, 'postgres');
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return pids.filter((pid) => isIn(pid, cluster)).sort((a, b) => a - b);
}

function isIn(pid: number, folder: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === folder;
  } catch {
    return false; // it ended between the list and the look
  }
}
