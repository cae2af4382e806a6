// The pool of worker threads: order, bounds, and what happens to a job when its thread does not survive it.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { JobError, PoolError, WorkerPool, type PoolOptions } from './pool.ts';

function poolFor(t: TestContext, options: Partial<PoolOptions> = {}): WorkerPool {
  const pool = new WorkerPool({
    script: new URL('./fixtures/odd-jobs.ts', import.meta.url),
    maxWorkers: 2,
    maxQueued: 8,
    queueTimeoutMs: 5_000,
    jobTimeoutMs: 5_000,
    idleMs: 5_000,
    maxJobsPerWorker: 100,
    ...options,
  });
  t.after(() => pool.close());
  return pool;
}

const threadOf = async (result: Promise<unknown>): Promise<number> => ((await result) as { threadId: number }).threadId;
const ask = async (question: unknown): Promise<unknown> => {
  if (question === 'no') throw new Error('not today');
  return `${String(question)}!`;
};

const failsWith = (code: string) => (error: unknown) => error instanceof PoolError && error.code === code;

test('no thread is started before the first job, and never more than allowed', async (t) => {
  const pool = poolFor(t);
  assert.equal(pool.load.workers, 0);
  await pool.run({});
  assert.equal(pool.load.workers, 1);
  const threads = await Promise.all(Array.from({ length: 6 }, () => threadOf(pool.run({ sleepMs: 30 }))));
  assert.equal(new Set(threads).size, 2);
});

test('a thread ends when it was idle long enough', async (t) => {
  const pool = poolFor(t, { idleMs: 50 });
  await pool.run({});
  await sleep(150);
  assert.equal(pool.load.workers, 0);
});

test('a thread is replaced after its last job', async (t) => {
  const pool = poolFor(t, { maxWorkers: 1, maxJobsPerWorker: 2 });
  const threads = [];
  for (let i = 0; i < 4; i++) threads.push(await threadOf(pool.run({})));
  assert.equal(threads[0], threads[1]);
  assert.equal(threads[2], threads[3]);
  assert.notEqual(threads[1], threads[2]);
});

test('one job more than the queue holds is refused at once', async (t) => {
  const pool = poolFor(t, { maxWorkers: 1, maxQueued: 2 });
  const accepted = [1, 2, 3].map(() => pool.run({ sleepMs: 50 }));
  await assert.rejects(pool.run({}), failsWith('QUEUE_FULL'));
  await Promise.all(accepted);
});

test('a job that waits too long is refused, and the one before it is not', async (t) => {
  const pool = poolFor(t, { maxWorkers: 1, queueTimeoutMs: 150 });
  await pool.run({});
  const first = pool.run({ sleepMs: 400 });
  await assert.rejects(pool.run({}), failsWith('WAITED_TOO_LONG'));
  await first;
});

test('a job that hangs is ended in time, and the next one runs', async (t) => {
  const pool = poolFor(t, { maxWorkers: 1, jobTimeoutMs: 300 });
  const next = pool.run({ hang: true }).then(
    () => assert.fail(),
    (error) => assert.ok(failsWith('TIMED_OUT')(error)),
  );
  await next;
  await pool.run({});
});

test('a crash takes its own job with it and no other', async (t) => {
  const pool = poolFor(t);
  const other = pool.run({ sleepMs: 100 });
  await assert.rejects(pool.run({ crash: true }), failsWith('CRASHED'));
  await other;
  await pool.run({});
});

test('a job that eats its heap is a crash of its thread, not of the process', async (t) => {
  const pool = poolFor(t, { jobTimeoutMs: 60_000, resourceLimits: { maxOldGenerationSizeMb: 32 } });
  await assert.rejects(pool.run({ grow: true }), failsWith('CRASHED'));
  await pool.run({});
});

test('an aborted job leaves the queue, or its thread is ended', async (t) => {
  const pool = poolFor(t, { maxWorkers: 1 });
  const gone = new AbortController();
  const running = pool.run({ sleepMs: 2_000 }, { signal: gone.signal });
  const waiting = pool.run({}, { signal: gone.signal });
  const patient = pool.run({});
  gone.abort();
  await assert.rejects(running, failsWith('ABORTED'));
  await assert.rejects(waiting, failsWith('ABORTED'));
  await patient;
  await assert.rejects(pool.run({}, { signal: gone.signal }), failsWith('ABORTED'));
});

test('what a job throws arrives with its code', async (t) => {
  const pool = poolFor(t);
  await assert.rejects(
    pool.run({ fail: 'VALIDATION_FAILED' }),
    (error) => error instanceof JobError && error.code === 'VALIDATION_FAILED' && error.message === 'as told',
  );
});

test('a job may ask the main thread, and hears when it is refused', async (t) => {
  const pool = poolFor(t);
  assert.equal(((await pool.run({ ask: 'yes' }, { ask })) as { reply: string }).reply, 'yes!');
  assert.equal(((await pool.run({ ask: 'no' }, { ask })) as { reply: string }).reply, 'refused: not today');
});

test('memory is handed over, not copied', async (t) => {
  const pool = poolFor(t);
  const bytes = new Uint8Array(1_000);
  await pool.run({ bytes }, { transfer: [bytes.buffer] });
  assert.equal(bytes.length, 0);
});

test('closing rejects what runs and what waits', async (t) => {
  const pool = poolFor(t, { maxWorkers: 1 });
  const jobs = [pool.run({ sleepMs: 1_000 }), pool.run({})];
  const settled = Promise.allSettled(jobs);
  await pool.close();
  for (const outcome of await settled) assert.equal(outcome.status, 'rejected');
  await assert.rejects(pool.run({}), failsWith('CLOSED'));
});
