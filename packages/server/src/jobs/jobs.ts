// Work that happens later or again and again: a thin door over graphile-worker. Handlers are handed in by main.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  makeWorkerUtils,
  parseCronItems,
  run,
  runMigrations,
  Logger as WorkerLogger,
  type Runner,
} from 'graphile-worker';
import type { Logger } from 'pino';
import type pg from 'pg';

/** JSON of a job; small, and without content, since the queue is not encrypted under a tenant's key. */
export type Payload = Readonly<Record<string, string | number | boolean | null>>;

/** Throws to be tried again later. A job may run twice: after a crash it is not known how far it came. */
export type Handler = (payload: Payload, signal: AbortSignal) => Promise<void>;

export interface EnqueueOptions {
  runAt?: Date;
  /** A waiting job with the same key is replaced: at most one waits. */
  key?: string;
  /** Tries before it is given up; 25 by default, over about three days. */
  maxAttempts?: number;
}

/** Minute pattern of cron (UTC) → task. */
export interface Schedule {
  pattern: string;
  task: string;
}

export interface JobsOptions {
  pool: pg.Pool;
  handlers: Readonly<Record<string, Handler>>;
  schedules?: readonly Schedule[];
  log: Logger;
  /** Nobody else works on this database, so locks of workers before us are those of the dead. */
  isAlone: boolean;
}

export interface Jobs {
  enqueue(task: string, payload?: Payload, options?: EnqueueOptions): Promise<void>;
  /** Waits for running jobs, at most a few seconds; the rest runs again at the next start. */
  stop(): Promise<void>;
}

const CONCURRENCY = 2;
/** New jobs are announced by NOTIFY; looking is for jobs whose time has come and for lost notifications. */
const POLL_INTERVAL_MS = 10_000;
const STOP_LIMIT_MS = 5_000;
const RESTART_PAUSE_MS = 2_000;
const FAILURES_TO_RESTART = 2;
// Without a batch the library drops the promise that reports how a job ended: when the database is gone just then, its
// rejection would end the process. With one it ends the runner, which is replaced.
const REPORT_BATCHED = { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } };

/** Makes or updates the schema of the queue. Safe when two do so at once. */
export async function makeQueue(pool: pg.Pool): Promise<void> {
  await runMigrations({ pgPool: pool, logger: QUIET });
}

/** Starts to work. @throws TypeError for a schedule whose task nobody handles. */
export async function startJobs({ pool, handlers, schedules = [], log, isAlone }: JobsOptions): Promise<Jobs> {
  const unhandled = schedules.find(({ task }) => !Object.hasOwn(handlers, task));
  if (unhandled !== undefined) throw new TypeError(`Nobody handles the scheduled task ${unhandled.task}`);
  await makeQueue(pool);
  const utils = await makeWorkerUtils({ pgPool: pool, logger: QUIET });
  const start = async (): Promise<Runner> => {
    if (isAlone) await freeLocksOfTheDead(pool);
    const runner = await run({
      preset: REPORT_BATCHED,
      pgPool: pool,
      concurrency: CONCURRENCY,
      pollInterval: POLL_INTERVAL_MS,
      noHandleSignals: true,
      taskList: Object.fromEntries(Object.entries(handlers).map(([task, handler]) => [task, taskOf(handler)])),
      parsedCronItems: parseCronItems(
        schedules.map(({ pattern, task }) => ({
          task,
          match: pattern,
          options: { backfillPeriod: 0, maxAttempts: 5 },
        })),
      ),
      logger: loggerTo(log),
    });
    endWhenStuck(runner);
    return runner;
  };
  // the library does not know what to look for without a handler
  const isIdle = Object.keys(handlers).length === 0;
  const worker = isIdle ? undefined : await keepRunning(start, log);
  return {
    async enqueue(task, payload = {}, { runAt, key, maxAttempts } = {}) {
      await utils.addJob(task, payload, {
        ...(runAt && { runAt }),
        ...(key !== undefined && { jobKey: key }),
        ...(maxAttempts !== undefined && { maxAttempts }),
      });
    },
    async stop() {
      await worker?.stop();
      await utils.release();
    },
  };
}

/**
 * Ends a runner that cannot get at the queue, so that a fresh one takes its place: a connection that breaks while the
 * library asks for its tasks' ids (0.18) leaves it with that error for ever.
 */
function endWhenStuck(runner: Runner): void {
  let failures = 0;
  runner.events.on('worker:getJob:empty', () => (failures = 0));
  runner.events.on('job:start', () => (failures = 0));
  runner.events.on('worker:getJob:error', () => {
    failures++;
    if (failures === FAILURES_TO_RESTART) void runner.stop().catch(() => undefined);
  });
}

/** Starts again after a pause when the library gave up. */
async function keepRunning(start: () => Promise<Runner>, log: Logger): Promise<{ stop(): Promise<void> }> {
  const stopping = new AbortController();
  let runner: Runner | undefined = await start();
  const watch = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const why = await (runner?.promise ?? Promise.resolve()).then(
        () => 'it ended',
        (error: unknown) => String(error),
      );
      if (stopping.signal.aborted) return;
      log.warn({ why }, 'the jobs stopped and are started again');
      await sleep(RESTART_PAUSE_MS, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
      if (stopping.signal.aborted) return;
      runner = await start().catch(() => undefined);
    }
  };
  const watching = watch();
  return {
    async stop() {
      stopping.abort();
      const limit = sleep(STOP_LIMIT_MS, undefined, { ref: false });
      await Promise.race([runner?.stop().catch(() => undefined), limit]);
      await Promise.race([watching, limit]);
    },
  };
}

function taskOf(handler: Handler): (payload: unknown, helpers: { abortSignal?: AbortSignal }) => Promise<void> {
  return async (payload, { abortSignal }) => {
    await handler(payload as Payload, abortSignal ?? new AbortController().signal);
  };
}

/** Else the library waits four hours before it gives a killed worker's job to another. */
async function freeLocksOfTheDead(pool: pg.Pool): Promise<void> {
  await pool.query(`
    select graphile_worker.force_unlock_workers(array_agg(distinct locked_by))
    from (
      select locked_by from graphile_worker._private_jobs where locked_by is not null
      union
      select locked_by from graphile_worker._private_job_queues where locked_by is not null
    ) as dead
    having count(*) > 0`);
}

const QUIET = new WorkerLogger(() => () => {});
const LEVELS = { error: 'error', warning: 'warn', info: 'debug', debug: 'trace' } as const;

function loggerTo(log: Logger): WorkerLogger {
  return new WorkerLogger(
    ({ taskIdentifier }) =>
      (level, message) =>
        log[LEVELS[level]]({ task: taskIdentifier }, message),
  );
}
