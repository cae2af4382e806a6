// Watches the process under attack: whether it ended, whether its parts were started again, how its memory grew.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Instance } from '../../../server/src/test/instance.ts';

export interface Watch {
  /** Takes what is in use now as the size before the attacks. */
  startMemory(): void;
  /** What it has grown until now, MB. */
  grownMb(): number;
  figures(): Promise<WatchFigures>;
  stop(): void;
}

export interface WatchFigures {
  /** The server ended, or one of its parts had to be started again. */
  restarts: number;
  /** Resident memory of the server's process after the attacks, less what it was before; MB of 2^20 bytes. */
  rssGrowthMb: number;
  /** The same of the highest moment in between. */
  rssPeakGrowthMb: number;
}

const LOOK_EVERY_MS = 250;
/** Photo workers end when they have been idle for a while. */
const SETTLE_MS = 45_000;
const MB = 1_048_576;

export function watch(instance: Instance, settleMs = SETTLE_MS): Watch {
  const { process: server } = instance;
  let before = rssBytes(server.pid);
  let peak = before;
  let ends = 0;
  server.once('exit', () => ends++);
  const timer = setInterval(() => (peak = Math.max(peak, rssBytes(server.pid))), LOOK_EVERY_MS);
  const grown = (bytes: number): number => Math.round(((bytes - before) / MB) * 10) / 10;
  return {
    startMemory() {
      before = rssBytes(server.pid);
      peak = before;
    },
    grownMb: () => grown(rssBytes(server.pid)),
    async figures() {
      await sleep(settleMs);
      const partsAgain = instance.output().split('was started again').length - 1;
      return {
        restarts: ends + partsAgain,
        rssGrowthMb: grown(rssBytes(server.pid)),
        rssPeakGrowthMb: grown(peak),
      };
    },
    stop: () => clearInterval(timer),
  };
}

/** 0 when the process is gone or the system has no /proc. */
function rssBytes(pid = 0): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024;
  } catch {
    return 0;
  }
}
