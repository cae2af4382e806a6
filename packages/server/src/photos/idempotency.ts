// Idempotency-Key: one effect per key and body, whoever asks how often, also when the first one died half way.
// The claim is a row with a lease; effect and answer are one transaction, guarded by the owner's token.
import { createHash, randomUUID, type UUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Sql } from '../storage/database.ts';
import {
  claimKey,
  finishKey,
  keepKey,
  LEASE_SECONDS,
  readKey,
  releaseKey,
  removeExpiredKeys,
  type IdempotencyKey,
  type RecordedAnswer,
} from '../storage/postgres/idempotency.ts';
import { Refusal } from './refusal.ts';

/** The contract's form of a key. */
const KEY = /^[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?$/;
const WAIT_MS = 30_000;
const POLL_FIRST_MS = 50;
const POLL_LAST_MS = 1_000;
const RETRY_AFTER_SECONDS = 5;

/** A request that may come twice. */
export interface Attempt {
  tenantId: string;
  route: string;
  /** The header's value; null when the client sent none: then every request has its own effect. */
  key: string | null;
  bodySha256: Uint8Array;
}

/** What the work gets: a token of its own, and the call that records the answer in the transaction of the effect. */
export interface Turn {
  readonly owner: UUID;
  /** The same for every attempt under one key: whoever takes over after a crash finds what the dead one had reserved. */
  readonly holder: UUID;
  /** Call it last inside the transaction. @throws Refusal CONFLICT when the key was lost: the transaction rolls back. */
  record(sql: Sql, answer: RecordedAnswer): Promise<void>;
}

export interface Work<Answer> {
  /** Does it, once; must have no effect outside the transaction in which it calls `record`. */
  run(turn: Turn): Promise<Answer>;
  /** Builds the same answer again from what was recorded. */
  replay(recorded: RecordedAnswer): Promise<Answer>;
}

export interface OnceOptions {
  database: Database;
  waitMs?: number;
  leaseMs?: number;
}

interface Running {
  bodySha256: Uint8Array;
  answer: Promise<unknown>;
}

/** @throws Refusal VALIDATION_FAILED for a header that is not 1…64 printable characters. */
export function idempotencyKeyOf(header: string | null | undefined): string | null {
  if (header === null || header === undefined) return null;
  if (KEY.test(header)) return header;
  throw new Refusal('VALIDATION_FAILED', 'Expected 1 to 64 printable ASCII characters for Idempotency-Key.');
}

/**
 * Runs work at most once per key. Within this process those who wait get the answer of the one who runs, bytes
 * included; across processes they wait for the recorded answer and build it again. Failures are not recorded: they
 * give the key back, and those who waited get the same failure.
 */
export class Once {
  readonly #database: Database;
  readonly #waitMs: number;
  readonly #heartbeatMs: number;
  readonly #running = new Map<string, Running>();

  constructor({ database, waitMs = WAIT_MS, leaseMs = LEASE_SECONDS * 1_000 }: OnceOptions) {
    this.#database = database;
    this.#waitMs = waitMs;
    this.#heartbeatMs = leaseMs / 3;
  }

  async answer<Answer>(attempt: Attempt, work: Work<Answer>): Promise<Answer> {
    if (attempt.key === null) {
      const owner = randomUUID();
      return work.run({ owner, holder: owner, record: async () => {} });
    }
    const name = nameOf(attempt.tenantId, attempt.route, attempt.key);
    const first = this.#running.get(name);
    if (first) return this.#join<Answer>(first, attempt);
    const answer = this.#first(attempt, attempt.key, work);
    this.#running.set(name, { bodySha256: attempt.bodySha256, answer });
    try {
      return await answer;
    } finally {
      this.#running.delete(name);
    }
  }

  async #join<Answer>(first: Running, attempt: Attempt): Promise<Answer> {
    if (!equal(first.bodySha256, attempt.bodySha256)) throw otherBody();
    const timer = new AbortController();
    try {
      const late = sleep(this.#waitMs, undefined, { signal: timer.signal }).then(() => {
        throw stillRunning();
      });
      // whoever loses the race must not end as an unhandled rejection
      late.catch(() => {});
      return (await Promise.race([first.answer, late])) as Answer;
    } finally {
      timer.abort();
    }
  }

  async #first<Answer>(attempt: Attempt, key: string, work: Work<Answer>): Promise<Answer> {
    const at: IdempotencyKey = { tenantId: attempt.tenantId, route: attempt.route, key };
    const owner = randomUUID();
    const recorded = await this.#claimOrWait(at, owner, attempt.bodySha256);
    return recorded ? work.replay(recorded) : this.#run(at, owner, work);
  }

  /** Null when the key is ours; otherwise the recorded answer of the one who had it. */
  async #claimOrWait(at: IdempotencyKey, owner: string, bodySha256: Uint8Array): Promise<RecordedAnswer | null> {
    const deadline = performance.now() + this.#waitMs;
    for (let pauseMs = POLL_FIRST_MS; ; pauseMs = Math.min(POLL_LAST_MS, pauseMs * 2)) {
      const found = await this.#database.inTenant(at.tenantId, async (sql) => {
        await removeExpiredKeys(sql, at.tenantId);
        return (await claimKey(sql, at, owner, bodySha256)) ? 'ours' : readKey(sql, at);
      });
      if (found === 'ours') return null;
      if (found && !equal(found.bodySha256, bodySha256)) throw otherBody();
      if (found?.answer) return found.answer;
      if (performance.now() + pauseMs > deadline) throw stillRunning();
      await sleep(pauseMs);
    }
  }

  async #run<Answer>(at: IdempotencyKey, owner: UUID, work: Work<Answer>): Promise<Answer> {
    const heartbeat = setInterval(() => {
      // a missed beat is harmless: `record` finds out whether the key is still ours
      this.#database.inTenant(at.tenantId, (sql) => keepKey(sql, at, owner)).catch(() => {});
    }, this.#heartbeatMs);
    heartbeat.unref();
    try {
      return await work.run({
        owner,
        holder: uuidOf(nameOf(at.tenantId, at.route, at.key)),
        record: async (sql, answer) => {
          if (!(await finishKey(sql, at, owner, answer))) throw stillRunning();
        },
      });
    } catch (error) {
      // when this fails too, the lease ends by itself
      await this.#database.inTenant(at.tenantId, (sql) => releaseKey(sql, at, owner)).catch(() => {});
      throw error;
    } finally {
      clearInterval(heartbeat);
    }
  }
}

function nameOf(tenantId: string, route: string, key: string): string {
  return `${tenantId} ${route} ${key}`;
}

/** A UUID of version 8 (RFC 9562 §5.8) from the SHA-256 of a name. */
function uuidOf(name: string): UUID {
  const hash = createHash('sha256').update(name).digest();
  hash[6] = ((hash[6] as number) & 0x0f) | 0x80;
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80;
  const hex = hash.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function otherBody(): Refusal {
  return new Refusal('CONFLICT', 'This Idempotency-Key was used with another body.', { status: 422 });
}

function stillRunning(): Refusal {
  return new Refusal('CONFLICT', 'The first request with this Idempotency-Key is still running.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
