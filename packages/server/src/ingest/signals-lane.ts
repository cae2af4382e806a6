// What log records and metrics share on their way in: the tenant's terms, bounds on what waits, and one retry when the
// partition of a day is missing. (Spans have a queue of their own, which also merges what arrives together.)
import { sqlState, type Database } from '../storage/database.ts';
import { readSignalUsage } from '../storage/postgres/logs.ts';
import { readTerms } from '../storage/postgres/usage.ts';
import { IngestRefusal } from './refusal.ts';

export interface LaneOptions {
  database: Database;
  /** Makes day partitions that are not there yet; days count from 1970. */
  ensurePartitions(retentionClass: number, days: readonly number[]): Promise<void>;
  nowMs: () => number;
}

export interface SignalTerms {
  retentionClass: number;
  /** UTC day of arrival, `2026-11-23`. */
  day: string;
  logRecordsToday: number;
  metricPointsToday: number;
}

export const DAY_MS = 86_400_000;
export const DAY_NS = 86_400_000_000_000n;
const TERMS_FRESH_MS = 5_000;
/** Requests of one tenant that are being written; the others wait their turn. */
const WRITERS_PER_TENANT = 2;
const MAX_WAITING_PER_TENANT = 64;
const MAX_BYTES_PER_TENANT = 128 * 1024 * 1024;
const MAX_BYTES = 256 * 1024 * 1024;
const RETRY_SECONDS = 1;
/** check_violation: "no partition of relation found for row". */
const NO_PARTITION = '23514';

interface Waiting {
  requests: number;
  bytes: number;
  writing: number;
  turns: (() => void)[];
}

export class SignalLane {
  readonly #options: LaneOptions;
  readonly #terms = new Map<string, { terms: Promise<SignalTerms>; day: string; staleAtMs: number }>();
  readonly #waiting = new Map<string, Waiting>();
  #bytes = 0;
  #drained: (() => void)[] = [];
  /** Requests that were told to come back later, since the start. */
  refusedRequests = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  get nowMs(): number {
    return this.#options.nowMs();
  }

  /** What the tenant may send, a few seconds old at most. @throws IngestRefusal FORBIDDEN when the tenant is gone. */
  async terms(tenantId: string): Promise<SignalTerms> {
    const nowMs = this.nowMs;
    const day = new Date(nowMs).toISOString().slice(0, 10);
    const known = this.#terms.get(tenantId);
    if (known !== undefined && known.day === day && nowMs < known.staleAtMs) return known.terms;
    for (const [id, { staleAtMs }] of this.#terms) if (staleAtMs <= nowMs) this.#terms.delete(id);
    const terms = this.#readTerms(tenantId, day);
    const entry = { terms, day, staleAtMs: nowMs + TERMS_FRESH_MS };
    this.#terms.set(tenantId, entry);
    terms.catch(() => {
      if (this.#terms.get(tenantId) === entry) this.#terms.delete(tenantId);
    });
    return terms;
  }

  async #readTerms(tenantId: string, day: string): Promise<SignalTerms> {
    const read = await this.#options.database.inTenant(tenantId, async (sql) => {
      const terms = await readTerms(sql, tenantId, day);
      return terms && { ...(await readSignalUsage(sql, tenantId, day)), retentionClass: terms.retentionClass };
    });
    if (read === undefined) throw new IngestRefusal('FORBIDDEN', 'The tenant of these credentials is gone.');
    const { retentionClass, logRecords, metricPoints } = read;
    return { retentionClass, day, logRecordsToday: logRecords, metricPointsToday: metricPoints };
  }

  /** The refusal of a tenant that has used its day up. */
  quotaRefusal(what: string, perDay: number): IngestRefusal {
    this.refusedRequests++;
    const secondsLeft = Math.ceil((DAY_MS - (this.nowMs % DAY_MS)) / 1_000);
    return new IngestRefusal(
      'RATE_LIMIT_EXCEEDED',
      `The tenant may send ${perDay} ${what} a day (UTC) and this request would exceed that.`,
      secondsLeft,
    );
  }

  /**
   * Runs `write` when it is this request's turn, and once more after making the partitions of `days` when one was
   * missing. @throws IngestRefusal at once when too much waits already.
   */
  async run<T>(
    tenantId: string,
    request: { bytes: number; retentionClass: number; days: () => readonly number[] },
    write: () => Promise<T>,
  ): Promise<T> {
    const waiting = this.#enter(tenantId, request.bytes);
    try {
      if (waiting.writing >= WRITERS_PER_TENANT) await new Promise<void>((resolve) => waiting.turns.push(resolve));
      else waiting.writing++;
      return await write().catch(async (error: unknown) => {
        if (sqlState(error) !== NO_PARTITION) throw error;
        await this.#options.ensurePartitions(request.retentionClass, request.days());
        return write();
      });
    } finally {
      this.#leave(tenantId, waiting, request.bytes);
    }
  }

  #enter(tenantId: string, bytes: number): Waiting {
    const waiting = this.#waiting.get(tenantId) ?? { requests: 0, bytes: 0, writing: 0, turns: [] };
    // an empty lane takes any one request: its size was limited already
    if (
      waiting.requests > 0 &&
      (waiting.requests >= MAX_WAITING_PER_TENANT || waiting.bytes + bytes > MAX_BYTES_PER_TENANT)
    ) {
      this.refusedRequests++;
      throw new IngestRefusal('RATE_LIMIT_EXCEEDED', 'The tenant sends faster than is written.', RETRY_SECONDS);
    }
    if (this.#bytes > 0 && this.#bytes + bytes > MAX_BYTES) {
      this.refusedRequests++;
      throw new IngestRefusal('UNAVAILABLE', 'More arrives than is written.', RETRY_SECONDS);
    }
    this.#waiting.set(tenantId, waiting);
    waiting.requests++;
    waiting.bytes += bytes;
    this.#bytes += bytes;
    return waiting;
  }

  #leave(tenantId: string, waiting: Waiting, bytes: number): void {
    waiting.requests--;
    waiting.bytes -= bytes;
    this.#bytes -= bytes;
    // the turn is handed on: the number of those who write stays the same
    const next = waiting.turns.shift();
    if (next === undefined) waiting.writing--;
    else next();
    if (waiting.requests === 0) this.#waiting.delete(tenantId);
    if (this.#waiting.size === 0) for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** Resolves when nothing waits to be written. */
  drain(): Promise<void> {
    return this.#waiting.size === 0 ? Promise.resolve() : new Promise<void>((resolve) => this.#drained.push(resolve));
  }
}

/** The group would exceed what the tenant may send today. Nothing of it was written. */
export class SignalQuotaReached extends Error {
  override readonly name = 'SignalQuotaReached';
}

const FUTURE_LIMIT_NS = DAY_NS;

/** The items whose time is inside what is kept, and a sentence about the others. */
export function withinRetention<Item extends { timeNs: bigint }>(
  items: readonly Item[],
  { retentionClass, nowMs, what }: { retentionClass: number; nowMs: number; what: string },
): { kept: Item[]; refused: number; message: string | undefined } {
  const nowNs = BigInt(Math.floor(nowMs)) * 1_000_000n;
  const oldestNs = nowNs - BigInt(retentionClass) * DAY_NS;
  const newestNs = nowNs + FUTURE_LIMIT_NS;
  const kept = items.filter(({ timeNs }) => timeNs >= oldestNs && timeNs <= newestNs);
  const refused = items.length - kept.length;
  const days = retentionClass === 1 ? '1 day' : `${retentionClass} days`;
  const message =
    refused === 0
      ? undefined
      : `${refused} ${what} are of more than ${days} ago (the retention) or more than 24 hours ahead`;
  return { kept, refused, message };
}
