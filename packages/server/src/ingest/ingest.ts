// The way in: who may send how much, which spans are too old or too new, and the group commit that writes whatever
// arrived during the last flush. The answer waits for the commit.
import {
  compileRedaction,
  DEFAULT_REDACTION,
  type DecodedTraces,
  type PriceBook,
  type Span,
} from '@lumatrace/telemetry';
import type { TenantKeys } from '../keys/tenant-key.ts';
import { sqlState, type Database } from '../storage/database.ts';
import { countTraces } from '../storage/postgres/traces.ts';
import { readTerms } from '../storage/postgres/usage.ts';
import { deliveryOf, overlap, type Delivery, type Redactor } from './delivery.ts';
import { DAY_NS } from './record.ts';
import { IngestRefusal } from './refusal.ts';
import { mergeRecentRollups } from './upkeep.ts';
import { QuotaReached, write } from './write.ts';

export type { Redactor } from './delivery.ts';
export { IngestRefusal } from './refusal.ts';

export interface IngestOptions {
  database: Database;
  tenantKeys: TenantKeys;
  /** New traces per UTC day for tenants without a limit of their own. */
  tracesPerDay?: number;
  /** Every way in passes through it. Without it the rules of the release hold, which take secrets out: never none. */
  redactorOf?: (tenantId: string) => Promise<Redactor>;
  /** The tenant's prices; without it those of the release. */
  priceBookOf?: (tenantId: string) => Promise<PriceBook>;
  /** Makes day partitions that are not there yet; days count from 1970. */
  ensurePartitions(retentionClass: number, days: readonly number[]): Promise<void>;
  nowMs?: () => number;
}

export interface IngestOutcome {
  rejectedSpans: number;
  /** One sentence per reason. */
  messages: string[];
}

/** Counted since the start, for `/metrics`. */
export interface IngestCounts {
  /** Spans written and committed, replacements included. */
  stored: number;
  duplicates: number;
  replaced: number;
  rejected: number;
  /** Requests that were told to come back later. */
  refusedRequests: number;
  queuedSpans: number;
  queuedBytes: number;
}

export interface Ingest {
  /**
   * Resolves when everything that was taken is durable. A caller that goes away changes nothing: the request is written
   * whole or not at all. Rejects with IngestRefusal, DatabaseUnavailable or an error of the tenant's key.
   * `bytes` is the inflated size of the request.
   */
  accept(tenantId: string, decoded: DecodedTraces, bytes: number): Promise<IngestOutcome>;
  counts(): IngestCounts;
  /** Resolves when nothing waits to be written. */
  drain(): Promise<void>;
}

const DEFAULT_REDACTOR: Redactor = compileRedaction(DEFAULT_REDACTION);
export const DEFAULT_TRACES_PER_DAY = 50_000;
// One transaction of a thousand spans takes PostgreSQL some 40 ms: long enough for a group to gather, short enough
// for p99.
const MAX_GROUP_SPANS = 1_000;
/** While one transaction waits for PostgreSQL the next is built; a third gains nothing on two cores. */
const WRITERS_PER_TENANT = 2;
const MAX_QUEUED_SPANS_PER_TENANT = 20_000;
const MAX_QUEUED_BYTES_PER_TENANT = 128 * 1024 * 1024;
const MAX_QUEUED_BYTES = 256 * 1024 * 1024;
const QUEUE_RETRY_SECONDS = 1;
const TERMS_FRESH_MS = 5_000;
/** How often the rollup deltas of a tenant that sends are merged. */
const MERGE_EVERY_MS = 60_000;
const DAY_MS = 86_400_000;
/** Clocks differ; a day covers every time zone that was mistaken for UTC. */
const FUTURE_LIMIT_NS = DAY_NS;
/** check_violation: "no partition of relation found for row". */
const NO_PARTITION = '23514';

interface Waiting {
  delivery: Delivery;
  resolve(): void;
  reject(error: unknown): void;
}

/** The queue of one tenant. */
interface Lane {
  waiting: Waiting[];
  /** Groups that are being written. */
  writing: Set<readonly Waiting[]>;
  spans: number;
  bytes: number;
}

/** What a tenant may send; read again when a few seconds old. */
interface Terms {
  retentionClass: number;
  tracesPerDay: number;
  tracesToday: number;
  /** UTC day that they hold for. */
  day: string;
}

export function createIngest(options: IngestOptions): Ingest {
  return new Queue(options);
}

class Queue implements Ingest {
  readonly #options: Required<Omit<IngestOptions, 'priceBookOf'>> & Pick<IngestOptions, 'priceBookOf'>;
  readonly #lanes = new Map<string, Lane>();
  readonly #terms = new Map<string, { terms: Promise<Terms>; day: string; staleAtMs: number }>();
  readonly #counts: IngestCounts = {
    stored: 0,
    duplicates: 0,
    replaced: 0,
    rejected: 0,
    refusedRequests: 0,
    queuedSpans: 0,
    queuedBytes: 0,
  };
  /** When the rollups of a tenant were merged last. */
  readonly #mergedAtMs = new Map<string, number>();
  readonly #merging = new Set<Promise<void>>();
  #drained: (() => void)[] = [];

  constructor(options: IngestOptions) {
    this.#options = {
      tracesPerDay: DEFAULT_TRACES_PER_DAY,
      redactorOf: () => Promise.resolve(DEFAULT_REDACTOR),
      nowMs: Date.now,
      ...options,
    };
  }

  counts(): IngestCounts {
    return { ...this.#counts };
  }

  async drain(): Promise<void> {
    if (this.#lanes.size > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
    await Promise.all(this.#merging);
  }

  async accept(tenantId: string, decoded: DecodedTraces, bytes: number): Promise<IngestOutcome> {
    const { retentionClass } = await this.#termsOf(tenantId);
    const { spans, outcome } = this.#admit(decoded, retentionClass);
    if (spans.length > 0) {
      await this.#refuseBeyondQuota(tenantId, spans);
      this.#refuseBeyondQueue(tenantId, spans.length, bytes);
      const key = await this.#options.tenantKeys.forTenant(tenantId);
      const prices = await this.#options.priceBookOf?.(tenantId);
      const redactor = await this.#options.redactorOf(tenantId);
      const delivery = deliveryOf(spans, { key, retentionClass, redactor, prices, bytes });
      if (delivery !== undefined) await this.#enqueue(tenantId, delivery);
    }
    this.#counts.rejected += outcome.rejectedSpans;
    return outcome;
  }

  /** Requests that come while the terms are read share the answer: their order stays the order of arrival. */
  async #termsOf(tenantId: string): Promise<Terms> {
    const { nowMs } = this.#options;
    const day = new Date(nowMs()).toISOString().slice(0, 10);
    const known = this.#terms.get(tenantId);
    if (known !== undefined && known.day === day && nowMs() < known.staleAtMs) return known.terms;
    for (const [id, { staleAtMs }] of this.#terms) if (staleAtMs <= nowMs()) this.#terms.delete(id);
    const terms = this.#readTerms(tenantId, day);
    const entry = { terms, day, staleAtMs: nowMs() + TERMS_FRESH_MS };
    this.#terms.set(tenantId, entry);
    terms.catch(() => {
      if (this.#terms.get(tenantId) === entry) this.#terms.delete(tenantId);
    });
    return terms;
  }

  async #readTerms(tenantId: string, day: string): Promise<Terms> {
    const read = await this.#options.database.inTenant(tenantId, (sql) => readTerms(sql, tenantId, day));
    if (read === undefined) throw new IngestRefusal('FORBIDDEN', 'The tenant of these credentials is gone.');
    const { retentionClass, tracesPerDay, tracesToday } = read;
    return { retentionClass, tracesPerDay: tracesPerDay ?? this.#options.tracesPerDay, tracesToday, day };
  }

  #admit(decoded: DecodedTraces, retentionClass: number): { spans: Span[]; outcome: IngestOutcome } {
    const nowNs = BigInt(Math.floor(this.#options.nowMs())) * 1_000_000n;
    const oldestNs = nowNs - BigInt(retentionClass) * DAY_NS;
    const newestNs = nowNs + FUTURE_LIMIT_NS;
    const spans = decoded.spans.filter(({ startNs }) => startNs >= oldestNs && startNs <= newestNs);
    const outcome = { rejectedSpans: decoded.rejected.count, messages: [...decoded.rejected.messages] };
    const refused = decoded.spans.length - spans.length;
    if (refused > 0) {
      outcome.rejectedSpans += refused;
      const days = retentionClass === 1 ? '1 day' : `${retentionClass} days`;
      outcome.messages.push(`${refused} spans began more than ${days} ago (the retention) or more than 24 hours ahead`);
    }
    return { spans, outcome };
  }

  /** Exact at the commit; here only a tenant that has used its day up is turned away, unless no trace is new. */
  async #refuseBeyondQuota(tenantId: string, spans: readonly Span[]): Promise<void> {
    const { tracesToday, tracesPerDay } = await this.#termsOf(tenantId);
    if (tracesToday < tracesPerDay) return;
    const traceIds = [...new Set(spans.map(({ traceId }) => traceId))];
    const known = await this.#options.database.inTenant(tenantId, (sql) => countTraces(sql, tenantId, traceIds));
    if (known < traceIds.length) throw this.#quotaRefusal(tracesPerDay);
  }

  #quotaRefusal(tracesPerDay: number): IngestRefusal {
    this.#counts.refusedRequests++;
    const secondsLeft = Math.ceil((DAY_MS - (this.#options.nowMs() % DAY_MS)) / 1_000);
    return new IngestRefusal(
      'RATE_LIMIT_EXCEEDED',
      `The tenant may begin ${tracesPerDay} traces a day (UTC) and this request would exceed that.`,
      secondsLeft,
    );
  }

  #refuseBeyondQueue(tenantId: string, spans: number, bytes: number): void {
    const lane = this.#lanes.get(tenantId);
    const ownSpans = (lane?.spans ?? 0) + spans;
    const ownBytes = (lane?.bytes ?? 0) + bytes;
    // an empty queue takes any one request: its size was limited already
    if (lane !== undefined && (ownSpans > MAX_QUEUED_SPANS_PER_TENANT || ownBytes > MAX_QUEUED_BYTES_PER_TENANT)) {
      this.#counts.refusedRequests++;
      throw new IngestRefusal('RATE_LIMIT_EXCEEDED', 'The tenant sends faster than is written.', QUEUE_RETRY_SECONDS);
    }
    if (this.#lanes.size > 0 && this.#counts.queuedBytes + bytes > MAX_QUEUED_BYTES) {
      this.#counts.refusedRequests++;
      throw new IngestRefusal('UNAVAILABLE', 'More arrives than is written.', QUEUE_RETRY_SECONDS);
    }
  }

  #enqueue(tenantId: string, delivery: Delivery): Promise<void> {
    const lane = this.#lanes.get(tenantId) ?? { waiting: [], writing: new Set(), spans: 0, bytes: 0 };
    this.#lanes.set(tenantId, lane);
    this.#hold(lane, delivery, 1);
    return new Promise((resolve, reject) => {
      lane.waiting.push({ delivery, resolve, reject });
      this.#startWriters(tenantId, lane);
    });
  }

  #hold(lane: Lane, { spanCount, bytes }: Delivery, sign: 1 | -1): void {
    lane.spans += sign * spanCount;
    lane.bytes += sign * bytes;
    this.#counts.queuedSpans += sign * spanCount;
    this.#counts.queuedBytes += sign * bytes;
  }

  #startWriters(tenantId: string, lane: Lane): void {
    while (lane.writing.size < WRITERS_PER_TENANT) {
      const group = nextGroup(lane);
      if (group.length === 0) return;
      lane.writing.add(group);
      void this.#flush(tenantId, group).then(() => {
        lane.writing.delete(group);
        for (const { delivery } of group) this.#hold(lane, delivery, -1);
        this.#startWriters(tenantId, lane);
        this.#rest(tenantId, lane);
      });
    }
  }

  #rest(tenantId: string, lane: Lane): void {
    if (lane.writing.size > 0 || lane.waiting.length > 0) return;
    if (this.#lanes.get(tenantId) === lane) this.#lanes.delete(tenantId);
    if (this.#lanes.size > 0) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** Never rejects: each waiting request learns what became of it. */
  async #flush(tenantId: string, group: readonly Waiting[]): Promise<void> {
    try {
      await this.#write(
        tenantId,
        group.map(({ delivery }) => delivery),
      );
      for (const { resolve } of group) resolve();
    } catch (error) {
      if (!(error instanceof QuotaReached)) for (const { reject } of group) reject(error);
      else if (group.length > 1) for (const waiting of group) await this.#flush(tenantId, [waiting]);
      else group[0]?.reject(this.#quotaRefusal(error.tracesPerDay));
    }
  }

  async #write(tenantId: string, deliveries: readonly Delivery[]): Promise<void> {
    const { database, tenantKeys, ensurePartitions } = this.#options;
    const terms = await this.#termsOf(tenantId);
    const { day, tracesPerDay } = terms;
    const key = await tenantKeys.forTenant(tenantId);
    const attempt = () => write(database, tenantId, deliveries, { key, day, tracesPerDay });
    const written = await attempt().catch(async (error: unknown) => {
      if (sqlState(error) !== NO_PARTITION) throw error;
      for (const [retentionClass, days] of daysOf(deliveries)) await ensurePartitions(retentionClass, [...days]);
      return attempt();
    });
    terms.tracesToday = Math.max(terms.tracesToday, written.tracesToday);
    this.#counts.stored += written.stored;
    this.#counts.duplicates += written.duplicates;
    this.#counts.replaced += written.replaced;
    this.#mergeNowAndThen(tenantId);
  }

  /** Beside the requests; a failure is made up by the next time, or by the daily upkeep. */
  #mergeNowAndThen(tenantId: string): void {
    const { database, nowMs } = this.#options;
    const now = nowMs();
    const last = this.#mergedAtMs.get(tenantId);
    if (last !== undefined && now - last < MERGE_EVERY_MS) return;
    for (const [id, at] of this.#mergedAtMs) if (now - at >= 2 * MERGE_EVERY_MS) this.#mergedAtMs.delete(id);
    this.#mergedAtMs.set(tenantId, now);
    if (last === undefined) return;
    const merging = mergeRecentRollups(database, tenantId, now)
      .catch(() => {})
      .finally(() => this.#merging.delete(merging));
    this.#merging.add(merging);
  }
}

/**
 * The oldest waiting requests up to the size of a group. A request that carries a span of the group, or a trace that
 * is being written, ends it: what arrives later is written later.
 */
function nextGroup(lane: Lane): Waiting[] {
  const group: Waiting[] = [];
  let spans = 0;
  for (const waiting of lane.waiting) {
    const { delivery } = waiting;
    if (spans > 0 && spans + delivery.spanCount > MAX_GROUP_SPANS) break;
    if (group.some((other) => overlap(other.delivery, delivery)) || isBeingWritten(lane, delivery)) break;
    group.push(waiting);
    spans += delivery.spanCount;
  }
  lane.waiting.splice(0, group.length);
  return group;
}

function isBeingWritten(lane: Lane, delivery: Delivery): boolean {
  for (const group of lane.writing) {
    for (const { delivery: other } of group) {
      for (const traceId of delivery.traces.keys()) if (other.traces.has(traceId)) return true;
    }
  }
  return false;
}

function daysOf(deliveries: readonly Delivery[]): Map<number, Set<number>> {
  const days = new Map<number, Set<number>>();
  for (const { traces, retentionClass, blockDay } of deliveries) {
    const own = days.get(retentionClass) ?? new Set();
    for (const { spans } of traces.values()) for (const { row } of spans) own.add(row.day);
    days.set(retentionClass, own.add(blockDay));
  }
  return days;
}
