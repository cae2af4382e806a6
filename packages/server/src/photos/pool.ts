// Worker threads for pixels: few, started when needed, replaced after some jobs and let go when idle.
// JavaScript and WebAssembly memory cannot be wiped or shrunk with certainty, so the thread that held pixels ends.
import { Worker, type ResourceLimits, type Transferable } from 'node:worker_threads';

export type PoolErrorCode = 'QUEUE_FULL' | 'WAITED_TOO_LONG' | 'TIMED_OUT' | 'CRASHED' | 'ABORTED' | 'CLOSED';

/** The pool's own failures. What the job itself threw arrives as `JobError`. */
export class PoolError extends Error {
  readonly code: PoolErrorCode;

  constructor(code: PoolErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'PoolError';
    this.code = code;
  }
}

/** An error that the job threw in its thread: `code` as it was there. */
export class JobError extends Error {
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.name = 'JobError';
    this.code = code;
  }
}

export interface PoolOptions {
  script: URL;
  maxWorkers: number;
  /** Jobs that wait beyond those that run; the next one is refused. */
  maxQueued: number;
  queueTimeoutMs: number;
  jobTimeoutMs: number;
  /** A worker without a job ends after this time, and so gives its memory back. */
  idleMs: number;
  /** A worker ends after so many jobs. */
  maxJobsPerWorker: number;
  resourceLimits?: ResourceLimits;
}

/** Question of a running job to the main thread, such as a signature. */
export type Ask = (question: unknown) => Promise<unknown>;

export interface JobOptions {
  transfer?: readonly Transferable[];
  signal?: AbortSignal;
  /** Answers what the job asks meanwhile. */
  ask?: Ask;
}

/** What travels to a worker and back. `error.code` is the thrown value's own code. */
export type ToWorker =
  | { type: 'job'; payload: unknown }
  | { type: 'answer'; question: number; value: unknown }
  | { type: 'refused'; question: number; message: string; code?: string };
export type FromWorker =
  | { type: 'done'; result: unknown }
  | { type: 'failed'; error: { message: string; code?: string } }
  | { type: 'ask'; question: number; about: unknown };

interface Job {
  payload: unknown;
  options: JobOptions;
  resolve(result: unknown): void;
  reject(error: Error): void;
  queueTimer?: NodeJS.Timeout;
  settled: boolean;
}

interface Seat {
  worker: Worker;
  job: Job | null;
  jobs: number;
  jobTimer?: NodeJS.Timeout;
  idleTimer?: NodeJS.Timeout;
}

/**
 * Runs one job at a time on each of at most `maxWorkers` threads, in the order they came. A thread that crashes or runs
 * out of time takes only its own job with it. An aborted job leaves the queue at once; when it runs already, its thread
 * is ended: what it held is nobody's any more.
 */
export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #seats = new Set<Seat>();
  readonly #queue: Job[] = [];
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** How many threads live and how many jobs wait, for `/metrics` and tests. */
  get load(): { workers: number; running: number; queued: number } {
    const running = [...this.#seats].filter(({ job }) => job !== null).length;
    return { workers: this.#seats.size, running, queued: this.#queue.length };
  }

  run(payload: unknown, options: JobOptions = {}): Promise<unknown> {
    if (this.#closed) return Promise.reject(new PoolError('CLOSED', 'The worker pool is closed.'));
    if (options.signal?.aborted) return Promise.reject(aborted());
    const idle = [...this.#seats].some(({ job }) => job === null) || this.#seats.size < this.#options.maxWorkers;
    if (!idle && this.#queue.length >= this.#options.maxQueued) {
      return Promise.reject(new PoolError('QUEUE_FULL', 'Too many images wait already.'));
    }
    return new Promise((resolve, reject) => {
      const job: Job = { payload, options, resolve, reject, settled: false };
      job.queueTimer = setTimeout(() => this.#leave(job, waitedTooLong()), this.#options.queueTimeoutMs);
      options.signal?.addEventListener('abort', () => this.#leave(job, aborted()), { once: true });
      this.#queue.push(job);
      this.#next();
    });
  }

  /** Ends every thread; jobs that wait or run are rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.splice(0)) settle(job, () => job.reject(closed()));
    await Promise.all([...this.#seats].map((seat) => this.#end(seat, closed())));
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const seat = [...this.#seats].find(({ job }) => job === null) ?? this.#start();
      if (!seat) return;
      this.#begin(seat, this.#queue.shift() as Job);
    }
  }

  #start(): Seat | null {
    if (this.#seats.size >= this.#options.maxWorkers) return null;
    const worker = new Worker(this.#options.script, { resourceLimits: this.#options.resourceLimits });
    const seat: Seat = { worker, job: null, jobs: 0 };
    this.#seats.add(seat);
    worker.on('message', (message: FromWorker) => this.#hear(seat, message));
    worker.on('error', (error) => void this.#end(seat, crashed(error)));
    worker.on('exit', () => void this.#end(seat, crashed()));
    return seat;
  }

  #begin(seat: Seat, job: Job): void {
    clearTimeout(job.queueTimer);
    clearTimeout(seat.idleTimer);
    seat.job = job;
    seat.jobs++;
    seat.worker.ref();
    seat.jobTimer = setTimeout(() => void this.#end(seat, timedOut()), this.#options.jobTimeoutMs);
    try {
      seat.worker.postMessage({ type: 'job', payload: job.payload } satisfies ToWorker, job.options.transfer);
    } catch (error) {
      this.#finish(seat, () => job.reject(error as Error));
    }
  }

  #hear(seat: Seat, message: FromWorker): void {
    const { job } = seat;
    if (!job) return;
    if (message.type === 'ask') void answer(seat.worker, job, message.question, message.about);
    else if (message.type === 'done') this.#finish(seat, () => job.resolve(message.result));
    else this.#finish(seat, () => job.reject(new JobError(message.error.message, message.error.code)));
  }

  #finish(seat: Seat, tell: () => void): void {
    const job = seat.job as Job;
    clearTimeout(seat.jobTimer);
    seat.job = null;
    settle(job, tell);
    if (seat.jobs >= this.#options.maxJobsPerWorker) void this.#end(seat, crashed());
    else this.#rest(seat);
    this.#next();
  }

  #rest(seat: Seat): void {
    // a resting thread must not keep the process alive
    seat.worker.unref();
    seat.idleTimer = setTimeout(() => void this.#end(seat, crashed()), this.#options.idleMs);
    seat.idleTimer.unref();
  }

  #leave(job: Job, error: PoolError): void {
    if (job.settled) return;
    const waiting = this.#queue.indexOf(job);
    if (waiting !== -1) {
      this.#queue.splice(waiting, 1);
      settle(job, () => job.reject(error));
      return;
    }
    const seat = [...this.#seats].find((seat) => seat.job === job);
    if (seat) void this.#end(seat, error);
  }

  async #end(seat: Seat, error: PoolError): Promise<void> {
    if (!this.#seats.delete(seat)) return;
    clearTimeout(seat.jobTimer);
    clearTimeout(seat.idleTimer);
    const { job } = seat;
    seat.job = null;
    if (job) settle(job, () => job.reject(error));
    if (!this.#closed) this.#next();
    await seat.worker.terminate();
  }
}

async function answer(worker: Worker, job: Job, question: number, about: unknown): Promise<void> {
  let reply: ToWorker;
  try {
    if (!job.options.ask) throw new TypeError('Expected a job that may ask.');
    reply = { type: 'answer', question, value: await job.options.ask(about) };
  } catch (error) {
    reply = {
      type: 'refused',
      question,
      message: error instanceof Error ? error.message : String(error),
      code: codeOf(error),
    };
  }
  if (!job.settled) worker.postMessage(reply, []);
}

/** The code of a thrown value, when it has one. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

function settle(job: Job, tell: () => void): void {
  if (job.settled) return;
  job.settled = true;
  clearTimeout(job.queueTimer);
  tell();
}

function aborted(): PoolError {
  return new PoolError('ABORTED', 'The client went away.');
}

function closed(): PoolError {
  return new PoolError('CLOSED', 'The worker pool was closed.');
}

function crashed(cause?: unknown): PoolError {
  return new PoolError('CRASHED', 'The image worker ended unexpectedly.', cause);
}

function timedOut(): PoolError {
  return new PoolError('TIMED_OUT', 'The image took too long.');
}

function waitedTooLong(): PoolError {
  return new PoolError('WAITED_TOO_LONG', 'The image waited too long for a free worker.');
}
