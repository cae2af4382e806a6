// Work that happens later or again and again: a thin door over graphile-worker. Handlers are handed in by main.ts.
import { makeWorkerUtils, parseCronItems, run, runMigrations, Logger as WorkerLogger, type Runner } from 'graphile-worker';
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

/** Makes or updates the schema of the queue. Safe when two do so at once. */
export async function makeQueue(pool: pg.Pool): Promise<void> {
  await runMigrations({ pgPool: pool, logger: QUIET });
}

/** Starts to work. @throws TypeError for a schedule whose task nobody handles. */
export async function startJobs({ pool, handlers, schedules = [], log, isAlone }: JobsOptions): Promise<Jobs> {
  const unhandled = schedules.find(({ task }) => !Object.hasOwn(handlers, task));
  if (unhandled !== undefined) throw new TypeError(`Nobody handles the scheduled task ${unhandled.task}`);
  await makeQueue(pool);
  if (isAlone) await freeLocksOfTheDead(pool);
  const utils = await makeWorkerUtils({ pgPool: pool, logger: QUIET });
  const runner = await run({
    pgPool: pool,
    concurrency: CONCURRENCY,
    pollInterval: POLL_INTERVAL_MS,
    noHandleSignals: true,
    taskList: Object.fromEntries(Object.entries(handlers).map(([task, handler]) => [task, taskOf(handler)])),
    parsedCronItems: parseCronItems(
      schedules.map(({ pattern, task }) => ({ task, match: pattern, options: { backfillPeriod: 0, maxAttempts: 5 } })),
    ),
    logger: loggerTo(log),
  });
  return {
    async enqueue(task, payload = {}, { runAt, key, maxAttempts } = {}) {
      await utils.addJob(task, payload, {
        ...(runAt && { runAt }),
        ...(key !== undefined && { jobKey: key }),
        ...(maxAttempts !== undefined && { maxAttempts }),
      });
    },
    async stop() {
      await stopped(runner);
      await utils.release();
    },
  };
}

function taskOf(handler: Handler): (payload: unknown, helpers: { abortSignal?: AbortSignal }) => Promise<void> {
  return async (payload, { abortSignal }) => {
    await handler(payload as Payload, abortSignal ?? new AbortController().signal);
  };
}

async function stopped(runner: Runner): Promise<void> {
  const limit = new Promise<void>((resolve) => setTimeout(resolve, STOP_LIMIT_MS).unref());
  await Promise.race([runner.stop(), limit]);
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
  return new WorkerLogger(({ taskIdentifier }) => (level, message) => log[LEVELS[level]]({ task: taskIdentifier }, message));
}
