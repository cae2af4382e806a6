// The embedded PostgreSQL server: made once, started, watched, started again when it dies, stopped in order.
import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { lstat, mkdir, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { findBinaries, majorVersion } from './binaries.ts';
import { endOrphan, endServer, killStrays, readPidFile } from './postmaster.ts';
import { awayFrom, chooseRunner, type Mode, type Runner } from './runner.ts';
import { settingsFile } from './settings.ts';

export interface ClusterOptions {
  /** Folder under which the cluster lies (`postgres/`), unless it has to live elsewhere. */
  dataDir: string;
  /** False for throw-away clusters: initdb then does not wait for the disk. */
  durable?: boolean;
  settings?: Readonly<Record<string, string>>;
  /** Lines for the operator: the server's own log, restarts. Never holds row values. */
  log?: (line: string) => void;
  /** Called once when the server died again and again; the process should end and say so. */
  onLost?: (error: Error) => void;
  /** Chosen by itself; tests name one. */
  mode?: Mode;
}

export interface Cluster {
  mode: Mode;
  /** Where the cluster's files lie. */
  folder: string;
  socketDir: string;
  /** Pid of the postmaster of the moment; 0 while there is none. */
  pid(): number;
  connection(user: string, database: string): pg.PoolConfig;
  /** Fast shutdown: open transactions are rolled back, everything committed is on disk. Safe to call twice. */
  stop(): Promise<void>;
}

/** Thrown when the server does not start; `message` ends with the last lines that it said. */
export class ClusterFailed extends Error {
  readonly code = 'UNAVAILABLE';
}

/** The one superuser, made by initdb; reachable through the socket in a 0700 folder only. */
export const SUPERUSER = 'postgres';
const SOCKET_NAME = '.s.PGSQL.5432';
// sun_path holds 108 bytes on Linux and 104 on macOS, a terminating zero included
const SOCKET_PATH_LIMIT = process.platform === 'darwin' ? 103 : 107;
const START_LIMIT_MS = 10 * 60_000;
const SHARED_MEMORY_PATIENCE_MS = 10_000;
/** Waits before the first, second, … restart within the window; after the last the server is given up. */
const RESTART_DELAYS_MS = [0, 200, 1_000, 3_000, 5_000];
const RESTART_WINDOW_MS = 60_000;
const TAIL_LINES = 12;
const INITDB_OPTIONS = [
  '--encoding=UTF8',
  '--locale=C',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--data-checksums',
  '--auth=trust',
  '--no-instructions',
];

/** Starts the cluster of a data folder, making it first when there is none. The caller holds the folder's lock. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const runner = await chooseRunner(options.dataDir, await findBinaries(), options.mode);
  const folder = join(runner.home, 'postgres');
  await mkdir(runner.home, { recursive: true, mode: 0o700 });
  await makeCluster(runner, folder, options.durable ?? true);
  const socketDir = await makeSocketDir(runner);
  const own = join(runner.home, 'postgres.conf');
  const hasOwn = await lstat(own).then(
    () => true,
    () => false,
  );
  const conf = settingsFile(socketDir, options.settings ?? {}, hasOwn ? own : undefined);
  await writeFile(join(folder, 'postgresql.conf'), conf);
  await runner.hand(join(folder, 'postgresql.conf'));
  const watched = new WatchedServer(runner, folder, options);
  await watched.start();
  return {
    mode: runner.mode,
    folder,
    socketDir,
    pid: () => watched.pid,
    // every default that pg would take from PG… variables of the caller is named
    connection: (user, database) => ({ host: socketDir, port: 5432, user, database, ssl: false, options: '' }),
    stop: () => watched.stop(),
  };
}

/** Folder of the cluster that belongs to a data folder, when one was made: here, or elsewhere for root. */
export async function existingCluster(dataDir: string): Promise<string | undefined> {
  for (const home of [resolve(dataDir), awayFrom(dataDir)]) {
    const folder = join(home, 'postgres');
    if ((await readFile(join(folder, 'PG_VERSION'), 'utf8').catch(() => '')) !== '') return folder;
  }
  return undefined;
}

/** Socket folder of a server that runs on this data folder, for a second process that wants to talk to it. */
export async function runningSocketDir(folder: string): Promise<string | undefined> {
  const found = await readPidFile(folder);
  return found?.ready === true ? found.socketDir : undefined;
}

/** initdb into a temporary folder, renamed when complete: a kill in the middle leaves nothing that looks like a cluster. */
async function makeCluster(runner: Runner, folder: string, durable: boolean): Promise<void> {
  const made = await readFile(join(folder, 'PG_VERSION'), 'utf8').catch(() => undefined);
  if (made !== undefined) return checkVersion(runner, folder, made.trim());
  await removeUnfinished(folder);
  const unfinished = `${folder}.new-${randomBytes(6).toString('hex')}`;
  await mkdir(unfinished, { mode: 0o700 });
  await runner.hand(unfinished);
  await initdb(runner, unfinished, durable);
  await writeFile(join(unfinished, 'pg_hba.conf'), 'local all all trust\n');
  await rename(unfinished, folder);
  if (durable) await syncFolder(dirname(folder));
}

async function checkVersion(runner: Runner, folder: string, made: string): Promise<void> {
  const speaks = await majorVersion(runner.binaries).catch(() => made);
  if (made === speaks) return;
  throw new ClusterFailed(
    `The database in ${folder} was made by PostgreSQL ${made}, this version brings ${speaks}. ` +
      'Make a backup with the version that made it, and restore that backup into a new data folder.',
  );
}

async function removeUnfinished(folder: string): Promise<void> {
  const prefix = `${basename(folder)}.new-`;
  const entries = await readdir(dirname(folder));
  for (const name of entries.filter((entry) => entry.startsWith(prefix))) {
    const unfinished = join(dirname(folder), name);
    await killStrays(unfinished);
    await rm(unfinished, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

async function initdb(runner: Runner, target: string, durable: boolean): Promise<void> {
  const child = runner.start(
    'initdb',
    ['-D', target, '-U', SUPERUSER, ...INITDB_OPTIONS, ...(durable ? [] : ['--no-sync'])],
    'SIGKILL',
  );
  const tail = tailOf(child);
  const code = await exitOf(child);
  if (code !== 0) throw new ClusterFailed(`The database could not be made in ${target}:\n${tail.join('\n')}`);
}

/** A 0700 folder for the socket: beside the cluster when the path is short enough, else under the temporary folder. */
async function makeSocketDir(runner: Runner): Promise<string> {
  const beside = join(runner.home, 'run');
  if (fits(beside)) {
    await mkdir(beside, { recursive: true, mode: 0o700 });
    await runner.hand(beside);
    return beside;
  }
  const parent = fits(join(tmpdir(), 'lumatrace-0123456789abcdef')) ? tmpdir() : '/tmp';
  const short = join(parent, `lumatrace-${createHash('sha256').update(runner.home).digest('hex').slice(0, 16)}`);
  const folder = (await isOurs(short)) ? short : await mkdtemp(join(parent, 'lumatrace-'));
  await runner.hand(folder);
  return folder;
}

function fits(folder: string): boolean {
  return Buffer.byteLength(join(folder, SOCKET_NAME)) <= SOCKET_PATH_LIMIT;
}

/** Makes the folder, or accepts it when it is a real folder of ours that nobody else may enter. */
async function isOurs(folder: string): Promise<boolean> {
  await mkdir(folder, { mode: 0o700 }).catch(() => undefined);
  const found = await lstat(folder).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.geteuid?.() && (found.mode & 0o077) === 0;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

/** One server process and its successors. States: starting, running, restarting, stopped. */
class WatchedServer {
  readonly #runner: Runner;
  readonly #folder: string;
  readonly #log: (line: string) => void;
  readonly #onLost: (error: Error) => void;
  #child: ChildProcess | undefined;
  #stopped = false;
  #restarts: number[] = [];
  #restarting: Promise<void> = Promise.resolve();

  constructor(runner: Runner, folder: string, options: ClusterOptions) {
    this.#runner = runner;
    this.#folder = folder;
    this.#log = options.log ?? (() => {});
    this.#onLost = options.onLost ?? (() => {});
  }

  get pid(): number {
    return this.#child !== undefined && isAlive(this.#child) ? (this.#child.pid ?? 0) : 0;
  }

  async start(): Promise<void> {
    const child = await this.#launch();
    this.#child = child;
    const ended = (): void => {
      if (this.#stopped) return;
      this.#log('PostgreSQL ended without being asked; starting it again.');
      this.#restarting = this.#restart();
    };
    if (isAlive(child)) child.once('exit', ended);
    else ended();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#restarting;
    const child = this.#child;
    if (child?.pid === undefined || !isAlive(child)) return;
    let gone = false;
    child.once('exit', () => (gone = true));
    await endServer(child.pid, () => !gone);
  }

  async #restart(): Promise<void> {
    for (;;) {
      const nowMs = performance.now();
      this.#restarts = this.#restarts.filter((atMs) => nowMs - atMs < RESTART_WINDOW_MS);
      const delayMs = RESTART_DELAYS_MS[this.#restarts.length];
      if (delayMs === undefined) {
        this.#onLost(new ClusterFailed(`PostgreSQL ended ${this.#restarts.length} times within a minute.`));
        return;
      }
      this.#restarts.push(nowMs);
      await sleep(delayMs);
      if (this.#stopped) return;
      try {
        await this.start();
        this.#log('PostgreSQL runs again.');
        return;
      } catch (error) {
        this.#log(`PostgreSQL did not start: ${(error as Error).message}`);
      }
    }
  }

  /** Ends what is left of an earlier server, then starts one and waits until it takes connections. */
  async #launch(): Promise<ChildProcess> {
    if (await endOrphan(this.#folder)) this.#log('Ended a PostgreSQL server that had outlived its LumaTrace.');
    const patientUntilMs = performance.now() + SHARED_MEMORY_PATIENCE_MS;
    for (let attempt = 1; ; attempt++) {
      const child = this.#runner.start('postgres', ['-D', this.#folder], 'SIGINT');
      const tail = tailOf(child, this.#log);
      if (await this.#becomesReady(child)) return child;
      const said = tail.join('\n');
      // backends of a killed postmaster notice its death within moments; until then its shared memory is in use
      if (!/pre-existing shared memory block|lock file ".*" already exists/.test(said)) {
        throw new ClusterFailed(`PostgreSQL did not start in ${this.#folder}:\n${said}`);
      }
      if (performance.now() > patientUntilMs) {
        if (attempt > 1_000 || (await killStrays(this.#folder)) === 0) {
          throw new ClusterFailed(`Another PostgreSQL holds ${this.#folder}:\n${said}`);
        }
      }
      await sleep(100);
      await endOrphan(this.#folder);
    }
  }

  async #becomesReady(child: ChildProcess): Promise<boolean> {
    const deadlineMs = performance.now() + START_LIMIT_MS;
    const failure: { error?: Error } = {};
    child.once('error', (error) => (failure.error = error));
    while (isAlive(child) && failure.error === undefined) {
      const found = await readPidFile(this.#folder);
      if (found?.ready === true && found.pid === child.pid) return true;
      if (performance.now() > deadlineMs) {
        child.kill('SIGQUIT');
        throw new ClusterFailed(`PostgreSQL was not ready after ${START_LIMIT_MS / 60_000} minutes.`);
      }
      await sleep(10);
    }
    if (failure.error !== undefined) throw new ClusterFailed('PostgreSQL could not be run.', { cause: failure.error });
    return false;
  }
}

function isAlive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** The last lines that a child said, each also handed to `log`. Reading on keeps the pipe from filling up. */
function tailOf(child: ChildProcess, log?: (line: string) => void): string[] {
  const tail: string[] = [];
  let rest = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = (lines.pop() ?? '').slice(-4_096);
    for (const line of lines) {
      tail.push(line);
      if (tail.length > TAIL_LINES) tail.shift();
      log?.(line);
    }
  });
  child.stderr?.on('error', () => {});
  return tail;
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    // 'close' comes after the last line of the pipe, 'exit' may come before it
    child.once('close', (code) => resolve(code));
  });
}
