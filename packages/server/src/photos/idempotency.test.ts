// Idempotency on a real PostgreSQL: one effect per key and body, whoever asks, however often, whoever dies.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { insertTenant } from '../storage/postgres/tenants.ts';
import type { RecordedAnswer } from '../storage/postgres/idempotency.ts';
import { testDatabase, type TestDatabase } from '../test/harness.ts';
import { removeExpiredAnswers } from './expiry.ts';
import { idempotencyKeyOf, Once, type Attempt, type Turn } from './idempotency.ts';
import { Refusal } from './refusal.ts';

let db: TestDatabase;
const tenantId = randomUUID();
const otherTenant = randomUUID();

before(async () => {
  db = await testDatabase();
  for (const id of [tenantId, otherTenant]) {
    await db.database.inTenant(id, (sql) => insertTenant(sql, { tenantId: id, name: 'Test' }));
  }
});

after(() => db.close());

const attemptOf = (body: string, key: string | null = randomUUID(), tenant = tenantId): Attempt => ({
  tenantId: tenant,
  route: 'POST /test',
  key,
  bodySha256: createHash('sha256').update(body).digest(),
});

/** Work that counts its effects and answers with a number of its own. */
function counting(durationMs = 0, failure?: Error) {
  const seen = { effects: 0, replays: 0 };
  return {
    seen,
    async run(turn: Turn): Promise<string> {
      const text = randomUUID();
      await sleep(durationMs);
      if (failure) throw failure;
      await db.database.inTenant(tenantId, (sql) =>
        turn.record(sql, { status: 200, headers: {}, body: Buffer.from(text), outputSha256: null, photoId: null }),
      );
      seen.effects++;
      return text;
    },
    async replay({ body }: RecordedAnswer): Promise<string> {
      seen.replays++;
      return Buffer.from(body ?? []).toString();
    },
  };
}

const conflict = (status: number | undefined) => (error: unknown) =>
  error instanceof Refusal && error.code === 'CONFLICT' && error.status === status;

test('the same key and body answers the same, with one effect', async () => {
  const once = new Once(db);
  const work = counting();
  const attempt = attemptOf('a');
  const first = await once.answer(attempt, work);
  assert.equal(await once.answer(attempt, work), first);
  assert.deepEqual(work.seen, { effects: 1, replays: 1 });
});

test('another body under the same key is refused with 422', async () => {
  const once = new Once(db);
  const attempt = attemptOf('a');
  await once.answer(attempt, counting());
  await assert.rejects(once.answer(attemptOf('b', attempt.key), counting()), conflict(422));
});

test('without a key every request has its own effect', async () => {
  const once = new Once(db);
  const work = counting();
  await Promise.all([1, 2, 3].map(() => once.answer(attemptOf('a', null), work)));
  assert.equal(work.seen.effects, 3);
});

test('the same key of another tenant is another key', async () => {
  const once = new Once(db);
  const attempt = attemptOf('a');
  const work = counting();
  await once.answer(attempt, work);
  const theirs = { ...work, run: async () => 'theirs' };
  assert.equal(await once.answer({ ...attempt, tenantId: otherTenant }, theirs), 'theirs');
});

test('a hundred at once over four processes have one effect and one answer', async () => {
  const processes = Array.from({ length: 4 }, () => new Once(db));
  const work = counting(150);
  const attempt = attemptOf('a');
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) => (processes[index % 4] as Once).answer(attempt, work)),
  );
  assert.equal(new Set(answers).size, 1);
  assert.equal(work.seen.effects, 1);
});

test('who waits too long for the first gets 409 with Retry-After', async () => {
  const attempt = attemptOf('a');
  const first = new Once(db).answer(attempt, counting(1_500));
  await sleep(100);
  for (const waiting of [new Once({ ...db, waitMs: 200 }), new Once({ ...db, waitMs: 200 })]) {
    await assert.rejects(
      waiting.answer(attempt, counting()),
      (error) => conflict(undefined)(error) && (error as Refusal).retryAfterSeconds === 5,
    );
  }
  await first;
});

test('a failure gives the key back, and the next attempt has its effect', async () => {
  const once = new Once(db);
  const attempt = attemptOf('a');
  await assert.rejects(once.answer(attempt, counting(0, new Error('broken'))), /broken/);
  const work = counting();
  await once.answer(attempt, work);
  assert.equal(work.seen.effects, 1);
});

test('a claim whose owner died is taken over when its lease is over, and its late owner has no effect', async () => {
  const attempt = attemptOf('a');
  const dead = counting();
  const pause = Promise.withResolvers<void>();
  const zombie = new Once({ ...db, leaseMs: 3_600_000 }).answer(attempt, {
    ...dead,
    run: async (turn) => {
      await pause.promise;
      return dead.run(turn);
    },
  });
  await sleep(100);
  await db.database.inTenant(tenantId, (sql) =>
    sql.query('update idempotency set lease_until = clock_timestamp() where key = $1', [attempt.key]),
  );
  const work = counting();
  await new Once(db).answer(attempt, work);
  pause.resolve();
  await assert.rejects(zombie, conflict(undefined));
  assert.deepEqual([dead.seen.effects, work.seen.effects], [0, 1]);
});

test('who takes over has the same holder as the one who died', async () => {
  const attempt = attemptOf('a');
  const holders: string[] = [];
  const failing = async (turn: Turn): Promise<string> => {
    holders.push(turn.holder);
    throw new Error('died');
  };
  const work = { run: failing, replay: async () => '' };
  await assert.rejects(new Once(db).answer(attempt, work));
  await assert.rejects(new Once(db).answer(attempt, work));
  assert.equal(holders[0], holders[1]);
});

test('a running owner keeps its lease', async () => {
  const attempt = attemptOf('a');
  const slow = counting(400);
  const running = new Once({ ...db, leaseMs: 150 }).answer(attempt, slow);
  await sleep(50);
  // as if the lease had been short: only the heartbeat can prolong it
  await db.database.inTenant(tenantId, (sql) =>
    sql.query(`update idempotency set lease_until = clock_timestamp() + interval '60 ms' where key = $1`, [
      attempt.key,
    ]),
  );
  const other = counting();
  const [first, second] = await Promise.all([running, new Once(db).answer(attempt, other)]);
  assert.equal(first, second);
  assert.deepEqual([slow.seen.effects, other.seen.effects], [1, 0]);
});

test('after 24 hours a key is free again, and its row goes', async () => {
  const once = new Once(db);
  const attempt = attemptOf('a');
  await once.answer(attempt, counting());
  await db.database.inTenant(tenantId, (sql) =>
    sql.query('update idempotency set expires_at = clock_timestamp() where key = $1', [attempt.key]),
  );
  const work = counting();
  await once.answer(attemptOf('b', attempt.key), work);
  assert.equal(work.seen.effects, 1);
});

test('the job removes what expired in every tenant, and nothing else', async () => {
  const old = attemptOf('a');
  const young = attemptOf('a');
  const work = counting();
  const once = new Once(db);
  await once.answer(old, work);
  await once.answer({ ...old, tenantId: otherTenant }, { ...work, run: async () => '' });
  await once.answer(young, work);
  for (const tenant of [tenantId, otherTenant]) {
    await db.database.inTenant(tenant, (sql) =>
      sql.query('update idempotency set expires_at = clock_timestamp() where key = $1', [old.key]),
    );
  }
  assert.ok((await removeExpiredAnswers(db.database)) >= 2);
  assert.equal(await removeExpiredAnswers(db.database), 0);
  const replays = work.seen.replays;
  await once.answer(young, work);
  assert.equal(work.seen.replays, replays + 1);
});

test('a key is 1 to 64 printable characters', () => {
  assert.equal(idempotencyKeyOf(undefined), null);
  assert.equal(idempotencyKeyOf(null), null);
  for (const good of ['a', 'x'.repeat(64), 'with blanks inside', '{"a":1}']) assert.equal(idempotencyKeyOf(good), good);
  for (const bad of ['', 'x'.repeat(65), ' a', 'a ', 'tab\there', 'é', 'a\u0000']) {
    assert.throws(() => idempotencyKeyOf(bad), { code: 'VALIDATION_FAILED' }, JSON.stringify(bad));
  }
});
