// Arize Phoenix beside us: the unmodified package from PyPI with its default, SQLite, sent the same requests and timed until its
// last span can be read through its API. It is installed into a virtual environment under .bench/ the first time.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../packages/server/src/test/instance.ts';
import { progress, round } from './report.ts';

const VERSION = '20.26.1';
const FOLDER = process.env['BENCH_PHOENIX'] ?? fileURLToPath(new URL('../.bench/phoenix', import.meta.url));
const INSTALL_LIMIT_MS = 6 * 60_000;
const START_LIMIT_MS = 120_000;
const READ_LIMIT_MS = 5 * 60_000;
const CLIENTS = 8;
const WARM_UP_REQUESTS = 5;

export interface Peer {
  name: string;
  version: string;
  spansPerSecond: number;
  spans: number;
  /** Until the last request was answered. */
  answeredSpansPerSecond: number;
  beforeAnswer: string;
  /** Its whole working folder after its end, logs of the database included. */
  bytesPerSpan: number;
}

const run = promisify(execFile);

/** Throws with the reason when it cannot be installed or does not start. `bodies` are gzipped export requests. */
export async function measurePhoenix(bodies: readonly Buffer[], spansPerRequest: number): Promise<Peer> {
  const program = await install();
  const folder = await mkdtemp(join(tmpdir(), 'lumatrace-phoenix-'));
  const port = await freePort();
  const child = spawn(program, ['serve'], {
    env: {
      ...process.env,
      PHOENIX_WORKING_DIR: folder,
      PHOENIX_HOST: '127.0.0.1',
      PHOENIX_PORT: String(port),
      PHOENIX_GRPC_PORT: String(await freePort()),
      PHOENIX_TELEMETRY_ENABLED: 'false',
    },
    stdio: 'ignore',
  });
  try {
    const url = `http://127.0.0.1:${port}`;
    await until(START_LIMIT_MS, 'Phoenix did not start', async () => isHealthy(url, child));
    await sendAll(url, bodies.slice(0, WARM_UP_REQUESTS));
    const warmSpans = WARM_UP_REQUESTS * spansPerRequest;
    await until(READ_LIMIT_MS, 'Phoenix did not show its first spans', async () => (await spanCount(url)) >= warmSpans);
    const measured = bodies.slice(WARM_UP_REQUESTS);
    const spans = measured.length * spansPerRequest;
    const startedMs = performance.now();
    await sendAll(url, measured);
    const answeredMs = performance.now() - startedMs;
    await until(
      READ_LIMIT_MS,
      'Phoenix did not show every span',
      async () => (await spanCount(url)) >= warmSpans + spans,
    );
    const readableMs = performance.now() - startedMs;
    await end(child);
    return {
      name: 'Arize Phoenix',
      version: await versionOf(program),
      bytesPerSpan: round((await folderBytes(folder)) / (warmSpans + spans), 0),
      spansPerSecond: round((spans / readableMs) * 1_000, 0),
      spans,
      answeredSpansPerSecond: round((spans / answeredMs) * 1_000, 0),
      beforeAnswer:
        'decodes and puts the spans into a queue in memory; they are written to SQLite after the answer, and lost when it ends before that',
    };
  } finally {
    await end(child);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await Promise.race([ended, sleep(10_000)]);
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const each = await Promise.all(files.map(({ parentPath, name }) => stat(join(parentPath, name))));
  return each.reduce((sum, { size }) => sum + size, 0);
}

async function install(): Promise<string> {
  const program = join(FOLDER, 'bin', 'phoenix');
  if (existsSync(program)) return program;
  progress(`installing arize-phoenix ${VERSION} into ${FOLDER}`);
  await run('python3', ['-m', 'venv', FOLDER], { timeout: INSTALL_LIMIT_MS });
  await run(join(FOLDER, 'bin', 'pip'), ['install', '--quiet', `arize-phoenix==${VERSION}`], {
    timeout: INSTALL_LIMIT_MS,
  });
  return program;
}

async function versionOf(program: string): Promise<string> {
  const { stdout } = await run(join(program, '..', 'pip'), ['show', 'arize-phoenix']);
  return /^Version: (.*)$/m.exec(stdout)?.[1] ?? VERSION;
}

async function isHealthy(url: string, child: ChildProcess): Promise<boolean> {
  if (child.exitCode !== null) throw new Error(`Phoenix ended with ${child.exitCode}`);
  return fetch(`${url}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  );
}

async function until(limitMs: number, complaint: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error(`${complaint} within ${limitMs / 1_000} s`);
    // its own server answers: asking more often would slow it down
    await sleep(500);
  }
}

async function sendAll(url: string, bodies: readonly Buffer[]): Promise<void> {
  let next = 0;
  const client = async (): Promise<void> => {
    for (let i = next++; i < bodies.length; i = next++) await send(url, bodies[i] as Buffer);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

/** A full queue is answered with 503: it is sent again, as an exporter would. */
async function send(url: string, body: Buffer): Promise<void> {
  const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' };
  for (;;) {
    const answer = await fetch(`${url}/v1/traces`, { method: 'POST', headers, body: new Uint8Array(body) });
    await answer.arrayBuffer();
    if (answer.ok) return;
    if (answer.status !== 503 && answer.status !== 429) throw new Error(`Phoenix answered ${answer.status}`);
    await sleep(100);
  }
}

const COUNT = 'query { projects { edges { node { recordCount } } } }';

async function spanCount(url: string): Promise<number> {
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: COUNT }),
  });
  const { data } = (await answer.json()) as { data: { projects: { edges: Array<{ node: { recordCount: number } }> } } };
  return data.projects.edges.reduce((sum, { node }) => sum + node.recordCount, 0);
}
