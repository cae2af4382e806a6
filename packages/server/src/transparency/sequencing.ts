// Lets the sequencer run as long as the program does: about once a second, never twice at a time in this process.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from './log.ts';

export interface Sequencing {
  /** Waits for a round that runs. What it leaves waits for the next start, or for another process. */
  stop(): Promise<void>;
}

// A receipt's proof is there within this time and the round's own. Each round that finds entries signs once.
const PAUSE_MS = 1_000;
/** After a failure, so that a database that is away is not asked all the time. */
const PAUSE_AFTER_FAILURE_MS = 5_000;

export function keepSequencing(log: Pick<Log, 'sequence'>, onError: (error: unknown) => void): Sequencing {
  const stopping = new AbortController();
  const { signal } = stopping;
  const rounds = async (): Promise<void> => {
    while (!signal.aborted) {
      let pauseMs = PAUSE_MS;
      await log.sequence().catch((error: unknown) => {
        pauseMs = PAUSE_AFTER_FAILURE_MS;
        onError(error);
      });
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  };
  const running = rounds();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
