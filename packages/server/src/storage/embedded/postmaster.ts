// What an earlier server left behind in a cluster: whether it lives, and how it is brought to an end before the next start.
import { execFileSync } from 'node:child_process';
import { readdir, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The lines of postmaster.pid that we use (PostgreSQL: src/include/utils/pidfile.h). */
export interface PidFile {
  pid: number;
  socketDir: string;
  ready: boolean;
}

const PID_LINE = 0;
const SOCKET_DIR_LINE = 4;
const STATUS_LINE = 7;

/** signal → how long it is given: fast shutdown, immediate shutdown, the end. */
const STOP_STEPS: ReadonlyArray<readonly [NodeJS.Signals, number]> = [
  ['SIGINT', 60_000],
  ['SIGQUIT', 10_000],
  ['SIGKILL', 5_000],
];

/** An orphan serves nobody: it is given a moment, and what it then leaves is recovered from its log at the start. */
const ORPHAN_STEPS: typeof STOP_STEPS = [
  ['SIGINT', 3_000],
  ['SIGQUIT', 5_000],
  ['SIGKILL', 5_000],
];

export async function readPidFile(cluster: string): Promise<PidFile | undefined> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const lines = text.split('\n');
  const pid = Math.abs(Number.parseInt(lines[PID_LINE] ?? '', 10));
  if (!Number.isInteger(pid) || pid === 0) return undefined;
  return { pid, socketDir: lines[SOCKET_DIR_LINE] ?? '', ready: (lines[STATUS_LINE] ?? '').trim() === 'ready' };
}

/**
 * Ends a server that outlived the process that started it, and removes the lock file of one that is gone: its pid may
 * belong to somebody else by now, and then PostgreSQL itself would refuse to start. Returns whether one was running.
 * The caller holds the lock of the data folder, so nobody else starts a server here meanwhile.
 */
export async function endOrphan(cluster: string): Promise<boolean> {
  const found = await readPidFile(cluster);
  if (found === undefined) {
    await rm(join(cluster, 'postmaster.pid'), { force: true });
    return false;
  }
  if (!(await servesCluster(found.pid, cluster))) {
    await rm(join(cluster, 'postmaster.pid'), { force: true });
    return false;
  }
  await endServer(found.pid, () => servesCluster(found.pid, cluster), ORPHAN_STEPS);
  return true;
}

/** Sends the stop signals one after the other until `lives` says no. */
export async function endServer(
  pid: number,
  lives: () => Promise<boolean> | boolean,
  steps = STOP_STEPS,
): Promise<void> {
  for (const [signal, patienceMs] of steps) {
    signalTo(pid, signal);
    const deadline = performance.now() + patienceMs;
    while (performance.now() < deadline) {
      if (!(await lives())) return;
      await sleep(20);
    }
  }
  throw new Error(`The PostgreSQL process ${pid} did not end`);
}

/** Kills what a killed postmaster left: backends that still hold the cluster's shared memory. Linux only. */
export async function killStrays(cluster: string): Promise<number> {
  if (process.platform !== 'linux') return 0;
  const pids = (await readdir('/proc')).map(Number).filter((pid) => Number.isInteger(pid) && pid > 1);
  let killed = 0;
  for (const pid of pids) {
    if (!(await servesCluster(pid, cluster))) continue;
    signalTo(pid, 'SIGKILL');
    killed++;
  }
  return killed;
}

/** True when the process is a PostgreSQL process of this very cluster: every one of them stands in its folder. */
export async function servesCluster(pid: number, cluster: string): Promise<boolean> {
  if (process.platform === 'linux') {
    const [cwd, name] = await Promise.all([
      readlink(`/proc/${pid}/cwd`).catch(() => undefined),
      readFile(`/proc/${pid}/comm`, 'utf8').catch(() => ''),
    ]);
    return cwd !== undefined && name.trim() === 'postgres' && cwd === (await realpath(cluster).catch(() => cluster));
  }
  try {
    const command = execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    return command.includes('postgres') && command.includes(cluster);
  } catch {
    return false;
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
