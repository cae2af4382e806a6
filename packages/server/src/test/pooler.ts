// PgBouncer in transaction mode before a cluster's socket: the next transaction on a connection is somebody else's.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type pg from 'pg';
import { APP_ROLE } from '../storage/database.ts';
import { SUPERUSER } from '../storage/embedded/cluster.ts';
import { OWNER_ROLE } from '../storage/embedded/provision.ts';
import { freePort } from './instance.ts';

export interface Pooler {
  port: number;
  /** As `user`, whose name is all that it asks for. */
  connection(user: string, database: string): pg.PoolConfig;
  /** What it has written so far. */
  output(): string;
  stop(): Promise<void>;
}

export interface PoolerOptions {
  /** Folder of the cluster's socket. */
  socketDir: string;
  /** Connections to the server for each user and database: far fewer than clients, so that they are handed on. */
  serverConnections: number;
}

const PROGRAMS = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer'];
const SETPRIV = '/usr/bin/setpriv';
const START_LIMIT_MS = 10_000;
const STOP_LIMIT_MS = 5_000;
const NOBODY = 65534;

/** Where it is installed; undefined when it is not. */
export function poolerProgram(): string | undefined {
  return PROGRAMS.find((path) => existsSync(path));
}

/** @throws Error when it is not installed or does not begin to listen; with what it said. */
export async function startPooler({ socketDir, serverConnections }: PoolerOptions): Promise<Pooler> {
  const program = poolerProgram();
  if (program === undefined) throw new Error('Expected PgBouncer (Debian package pgbouncer) but it is not installed');
  const folder = await mkdtemp(join(tmpdir(), 'lumatrace-pooler-'));
  const port = await freePort();
  const as = await userOf(socketDir);
  await writeFile(join(folder, 'users'), [APP_ROLE, OWNER_ROLE, SUPERUSER].map((name) => `"${name}" ""\n`).join(''));
  await writeFile(join(folder, 'pgbouncer.ini'), settings(folder, port, socketDir, serverConnections));
  if (as.uid !== undefined) {
    for (const path of [folder, join(folder, 'users'), join(folder, 'pgbouncer.ini')])
      await chown(path, as.uid, as.uid);
  }
  // a test that is killed takes it along, where the system can
  const leash = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'TERM', '--'] : [];
  const [command, ...args] = [...as.prefix, ...leash, program, join(folder, 'pgbouncer.ini')];
  const child = spawn(command as string, args, {
    ...(as.uid === undefined ? {} : { uid: as.uid, gid: as.uid }),
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-100_000)));
  }
  const stop = async (): Promise<void> => {
    await endOf(child);
    await rm(folder, { recursive: true, force: true });
  };
  if (!(await listens(port, child))) {
    await stop();
    throw new Error(`PgBouncer did not begin to listen:\n${output}`);
  }
  return {
    port,
    connection: (user, database) => ({ host: '127.0.0.1', port, user, database, ssl: false, options: '' }),
    output: () => output,
    stop,
  };
}

function settings(folder: string, port: number, socketDir: string, serverConnections: number): string {
  return `[databases]
* = host=${socketDir} port=5432
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${join(folder, 'users')}
pool_mode = transaction
default_pool_size = ${serverConnections}
max_client_conn = 1000
log_connections = 0
log_disconnections = 0
log_pooler_errors = 0
`;
}

/** It refuses root, as PostgreSQL does: it runs as whoever may enter the folder of the socket. */
async function userOf(socketDir: string): Promise<{ uid?: number; prefix: readonly string[] }> {
  if (process.geteuid?.() !== 0) return { prefix: [] };
  const { uid } = await stat(socketDir);
  if (uid !== 0) return { uid, prefix: [] };
  const prefix = ['unshare', '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`, '--'];
  await promisify(execFile)(prefix[0] as string, [...prefix.slice(1), 'true']);
  return { prefix };
}

async function listens(port: number, child: ChildProcess): Promise<boolean> {
  const deadlineMs = performance.now() + START_LIMIT_MS;
  while (child.exitCode === null && performance.now() < deadlineMs) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return true;
    await sleep(20);
  }
  return false;
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(timer);
}
