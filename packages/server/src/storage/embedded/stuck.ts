// Ends a PostgreSQL that will never take anybody in again, so that it is started anew from its log.
import { execFileSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { servesCluster } from './postmaster.ts';

export interface WatchOptions {
  /** Folder of the cluster. */
  folder: string;
  /** The postmaster of the moment; 0 while there is none. */
  pid(): number;
  /** Whether the server lives and refuses everybody (SQLSTATE 57P03, cannot_connect_now). */
  refuses(): Promise<boolean>;
  log(line: string): void;
  everyMs?: number;
  patienceMs?: number;
}

const LOOK_EVERY_MS = 1_000;
/** Before recovery the postmaster waits for its children: five seconds, then it kills them. */
const PATIENCE_MS = 15_000;

/**
 * When PostgreSQL 18 recovers from the death of one of its processes and the startup process, which replays the log, is
 * killed too, the postmaster neither starts another nor ends: it says "in recovery mode" for ever. A server that does
 * recover is left alone, however long that takes. Returns what ends the watch.
 */
export function watchStuck(options: WatchOptions): () => void {
  const { folder, pid, refuses, log, everyMs = LOOK_EVERY_MS, patienceMs = PATIENCE_MS } = options;
  let idleSinceMs: number | undefined;
  let stopped = false;
  const look = async (): Promise<void> => {
    const postmaster = pid();
    const isIdle = postmaster !== 0 && (await refuses()) && !(await recovers(folder));
    const nowMs = performance.now();
    idleSinceMs = isIdle ? (idleSinceMs ?? nowMs) : undefined;
    if (stopped || idleSinceMs === undefined || nowMs - idleSinceMs < patienceMs || pid() !== postmaster) return;
    idleSinceMs = undefined;
    log('PostgreSQL waits in recovery mode and recovers nothing: ending it, to start it again.');
    process.kill(postmaster, 'SIGKILL');
  };
  let timer: NodeJS.Timeout;
  const again = (): void => {
    timer = setTimeout(() => {
      void look()
        .catch(() => {})
        .finally(() => stopped || again());
    }, everyMs);
  };
  again();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** Whether a startup process, the one that replays the log, runs in the cluster. */
export async function recovers(folder: string): Promise<boolean> {
  if (process.platform !== 'linux') {
    return execFileSync('ps', ['-A', '-o', 'command='], { encoding: 'utf8' }).includes('postgres: startup');
  }
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || !(await servesCluster(pid, folder))) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.startsWith('postgres: startup')) return true;
  }
  return false;
}
