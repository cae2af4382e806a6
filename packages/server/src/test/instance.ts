// A whole LumaTrace as its user runs it: `up` as a child process on free ports with temporary data.
// Used by whole-server tests, browser tests and benches; nothing here reaches into the server's code.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const READY = /LumaTrace is ready on (\S+)/;
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;

/** The first-run file of the contract. */
export interface FirstRun {
  url: string;
  otlpUrl: string;
  admin: { email: string; password: string };
  tenant: { id: string; name: string };
  apiKey: string;
  serviceAccount: { username: string; password: string };
}

export interface InstanceOptions {
  /** Kept when given; otherwise a temporary folder, removed by `stop`. */
  dataDir?: string;
  ports?: { http: number; otlp: number; grpc: number };
  env?: Record<string, string>;
  args?: readonly string[];
  /** Of another process, which made the installation in the same database. */
  firstRun?: FirstRun;
}

export interface Instance {
  url: string;
  otlpUrl: string;
  dataDir: string;
  ports: { http: number; otlp: number; grpc: number };
  firstRun: FirstRun;
  /** From spawn to the ready line. */
  readyMs: number;
  process: ChildProcess;
  /** Everything printed so far, both streams. */
  output(): string;
  /** SIGTERM, wait, remove temporary data. */
  stop(): Promise<void>;
}

/** Starts `up` and resolves when it says that it is ready; rejects with its output when it does not. */
export async function startInstance(options: InstanceOptions = {}): Promise<Instance> {
  const temporary = options.dataDir === undefined;
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'lumatrace-instance-')));
  const ports = options.ports ?? { http: await freePort(), otlp: await freePort(), grpc: await freePort() };
  const startedMs = performance.now();
  const child = spawn(
    process.execPath,
    [
      // as the launcher does
      '--max-semi-space-size=64',
      MAIN,
      'up',
      '--port',
      String(ports.http),
      '--otlp-port',
      String(ports.otlp),
      '--grpc-port',
      String(ports.grpc),
      '--data',
      dataDir,
      ...(options.args ?? []),
    ],
    { env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const stop = async (): Promise<void> => {
    await endProcess(child);
    if (temporary) await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const url = await readyUrl(child, () => output);
    const readyMs = performance.now() - startedMs;
    const firstRun =
      options.firstRun ?? (JSON.parse(await readFile(join(dataDir, 'first-run.json'), 'utf8')) as FirstRun);
    const otlpUrl = `http://localhost:${ports.otlp}`;
    return { url, otlpUrl, dataDir, ports, firstRun, readyMs, process: child, output: () => output, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function readyUrl(child: ChildProcess, output: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(`did not become ready in ${READY_TIMEOUT_MS} ms`), READY_TIMEOUT_MS);
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(new Error(`LumaTrace ${why}:\n${output().slice(-4_000)}`));
    };
    const look = (): void => {
      const match = READY.exec(output());
      if (match?.[1] === undefined) return;
      clearTimeout(timer);
      child.stdout?.off('data', look);
      resolve(match[1]);
    };
    child.stdout?.on('data', look);
    child.once('exit', (code, signal) => fail(`ended with ${signal ?? code}`));
  });
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

/** A port that was free a moment ago on loopback. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('Expected a TCP address');
  return address.port;
}
