// The queue: jobs run soon, run again after a failure or a crash, wait once per key, and are not lost by a stop.
import assert from 'node:assert/strict';
import { once, EventEmitter } from 'node:events';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { pino } from 'pino';
import { testDatabase, type TestDatabase } from '../test/harness.ts';
import { makeQueue, startJobs, type Handler, type Jobs, type JobsOptions } from './jobs.ts';

const log = pino({ level: 'silent' });
let db: TestDatabase;
const running = new Set<Jobs>();

beforeEach(async () => {
  db = await testDatabase({ migrated: false });
});

afterEach(async () => {
  for (const jobs of running) await jobs.stop();
  running.clear();
  await db.close();
});

async function started(handlers: Record<string, Handler>, more: Partial<JobsOptions> = {}): Promise<Jobs> {
  const jobs = await startJobs({ pool: db.database.ownerPool, handlers, log, isAlone: true, ...more });
  running.add(jobs);
  return jobs;
}

async function stopped(jobs: Jobs): Promise<void> {
  running.delete(jobs);
  await jobs.stop();
}

async function waiting(): Promise<number> {
  const { rows } = await db.database.ownerPool.query<{ n: number }>(
    'select count(*)::int as n from graphile_worker._private_jobs',
  );
  return rows[0]?.n ?? -1;
}

test('a job runs within a second of being enqueued, with its payload, and is gone', async () => {
  const ran = new EventEmitter();
  const jobs = await started({ greet: async (payload) => void ran.emit('ran', payload) });
  const done = once(ran, 'ran', { signal: AbortSignal.timeout(5_000) });
  const startedMs = performance.now();
  await jobs.enqueue('greet', { name: 'Ada' });
  assert.deepEqual(await done, [{ name: 'Ada' }]);
  assert.ok(performance.now() - startedMs < 1_000);
  await stopped(jobs);
  assert.equal(await waiting(), 0);
});

test('a job that fails stays and is tried again later', async () => {
  const ran = new EventEmitter();
  const jobs = await started({
    fail: async () => {
      ran.emit('ran');
      throw new Error('not today');
    },
  });
  const done = once(ran, 'ran', { signal: AbortSignal.timeout(5_000) });
  await jobs.enqueue('fail');
  await done;
  await stopped(jobs);
  const { rows } = await db.database.ownerPool.query<Record<string, unknown>>(
    'select attempts, run_at > now() as later, locked_at is null as free from graphile_worker._private_jobs',
  );
  assert.deepEqual(rows, [{ attempts: 1, later: true, free: true }]);
});

test('jobs that nobody here handles, and jobs of the future, wait', async () => {
  const jobs = await started({ known: () => Promise.reject(new Error('never')) });
  await jobs.enqueue('unknown');
  await jobs.enqueue('known', {}, { runAt: new Date(Date.now() + 3_600_000) });
  await sleep(300);
  await stopped(jobs);
  assert.equal(await waiting(), 2);
});

test('of jobs with one key at most one waits', async () => {
  const jobs = await started({});
  for (let n = 0; n < 5; n++) await jobs.enqueue('later', { n }, { key: 'one', runAt: new Date('2100-01-01') });
  assert.equal(await waiting(), 1);
});

test('a job of a worker that was killed runs again at the next start, not four hours later', async () => {
  await makeQueue(db.database.ownerPool);
  const first = await started({});
  await first.enqueue('interrupted');
  await stopped(first);
  await db.database.ownerPool.query(
    `update graphile_worker._private_jobs set locked_at = now(), locked_by = 'killed', attempts = 1, run_at = now()`,
  );
  const ran = new EventEmitter();
  const done = once(ran, 'ran', { signal: AbortSignal.timeout(5_000) });
  await started({ interrupted: async () => void ran.emit('ran') });
  await done;
});

test('a schedule whose task nobody handles stops the start', async () => {
  const schedules = [{ pattern: '0 3 * * *', task: 'nightly' }];
  await assert.rejects(started({}, { schedules }), /Nobody handles the scheduled task nightly/);
});

test('a schedule is known to the queue', async () => {
  const schedules = [{ pattern: '0 3 * * *', task: 'nightly' }];
  await started({ nightly: () => Promise.resolve() }, { schedules });
  // the library writes it down after it started
  const known = 'select identifier from graphile_worker._private_known_crontabs';
  let rows: unknown[] = [];
  for (let look = 0; look < 100 && rows.length === 0; look++) {
    await sleep(50);
    rows = (await db.database.ownerPool.query(known)).rows;
  }
  assert.deepEqual(rows, [{ identifier: 'nightly' }]);
});

test('jobs go on after every connection was cut', async () => {
  const ran = new EventEmitter();
  const jobs = await started({ greet: async () => void ran.emit('ran') });
  await db.database.ownerPool.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  await sleep(500);
  const done = once(ran, 'ran', { signal: AbortSignal.timeout(15_000) });
  await jobs.enqueue('greet');
  await done;
});

test('a job that ends while the database is gone ends nothing else, and runs again', async () => {
  const ran = new EventEmitter();
  const cut = new pg.Client(db.superuser);
  await cut.connect();
  let runs = 0;
  const jobs = await started({
    cut: async () => {
      runs++;
      ran.emit('ran');
      if (runs > 1) return;
      await cut.query(`alter database ${db.name} allow_connections false`);
      await cut.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      );
      throw new Error('the database is gone');
    },
  });
  await jobs.enqueue('cut');
  // A notification that gets lost is made up by the next look at the queue, ten seconds later.
  await once(ran, 'ran', { signal: AbortSignal.timeout(25_000) });
  await sleep(1_000);
  // a runner that is stuck is given up after two looks at the queue (20 s), the next one may wait for its own look: the
  // design's own times add up to more than the 30 s that stood here
  const again = once(ran, 'ran', { signal: AbortSignal.timeout(90_000) });
  await cut.query(`alter database ${db.name} allow_connections true`);
  await cut.query(`update graphile_worker._private_jobs set run_at = now()`);
  await cut.end();
  await again;
});

test('several processes that start at once make the queue once', async () => {
  await Promise.all(Array.from({ length: 4 }, () => makeQueue(db.database.ownerPool)));
  assert.equal(await waiting(), 0);
});
