// The transaction of a group of deliveries: spans, their content, summaries, rollups and usage, all or nothing.
import type { TenantKey } from '../keys/tenant-key.ts';
import { decodeBlock, spanFrom, spanWithoutContent, type ContentBlock } from '../storage/content-block.ts';
import type { Database, Sql } from '../storage/database.ts';
import { insertBlocks, readBlocks, type BlockRow } from '../storage/postgres/content.ts';
import { insertRollups } from '../storage/postgres/rollups.ts';
import {
  deleteSpans,
  findSpans,
  insertSpans,
  spansOfTrace,
  updateBills,
  type SpanRow,
} from '../storage/postgres/spans.ts';
import {
  insertNewTraces,
  lockTraces,
  updateTraces,
  type TraceRow,
  type TraceState,
} from '../storage/postgres/traces.ts';
import { addUsage } from '../storage/postgres/usage.ts';
import { blockAad } from '../storage/sealed.ts';
import { looksLikeCall, markBilled, MAX_SPANS_TO_BILL } from './billing.ts';
import type { Delivery } from './delivery.ts';
import type { Recorded } from './record.ts';
import { minuteOf, RollupDeltas } from './rollup.ts';
import { merged, summaryFrom, summaryOf, traceRow, type Summary } from './summary.ts';

export interface Written {
  stored: number;
  duplicates: number;
  replaced: number;
  newTraces: number;
  /** Traces of the tenant today, these included. */
  tracesToday: number;
}

export interface WriteTerms {
  key: TenantKey;
  /** UTC day of arrival, `2026-11-23`. */
  day: string;
  tracesPerDay: number;
}

/** The group would begin more traces than the tenant may today. Nothing of it was written. */
export class QuotaReached extends Error {
  override readonly name = 'QuotaReached';
  readonly tracesPerDay: number;

  constructor(tracesPerDay: number) {
    super(`The tenant may begin ${tracesPerDay} traces a day`);
    this.tracesPerDay = tracesPerDay;
  }
}

/** A trace of this many spans is summed again whole when one of them is replaced; beyond it, from the earliest. */
const MAX_SPANS_TO_SUM = 100_000;

/** Deliveries of one group must not carry the same span; see `overlap`. Throws QuotaReached. */
export async function write(
  database: Database,
  tenantId: string,
  deliveries: readonly Delivery[],
  terms: WriteTerms,
): Promise<Written> {
  const blocks = await Promise.all(deliveries.map(({ block }) => block));
  return database.inTenant(tenantId, (sql) => new Transaction(sql, tenantId, terms).write(deliveries, blocks));
}

class Transaction {
  readonly #sql: Sql;
  readonly #tenantId: string;
  readonly #terms: WriteTerms;
  readonly #deltas = new RollupDeltas();
  readonly #opened = new Map<string, ContentBlock>();

  constructor(sql: Sql, tenantId: string, terms: WriteTerms) {
    this.#sql = sql;
    this.#tenantId = tenantId;
    this.#terms = terms;
  }

  async write(deliveries: readonly Delivery[], blocks: readonly BlockRow[]): Promise<Written> {
    const traces = tracesOf(deliveries);
    const { key } = this.#terms;
    const rows = [...traces.values()].map(({ summary }) => traceRow(summary, key));
    const begun = await insertNewTraces(this.#sql, this.#tenantId, rows);
    for (const row of rows) {
      if (!begun.has(row.traceId)) continue;
      this.#deltas.addTrace(row, 1);
      this.#deltas.addSpans(
        (traces.get(row.traceId) as Group).spans.map(({ row: span }) => span),
        row.startNs,
        1,
      );
    }
    const met = [...traces.keys()].filter((traceId) => !begun.has(traceId));
    const meeting = met.length === 0 ? NOTHING_MET : await this.#meet(met, traces);
    const records = [...traces.values()].flatMap(({ spans }) => spans);
    const stored = meeting.dropped.size === 0 ? records : records.filter((record) => !meeting.dropped.has(record));
    await insertBlocks(this.#sql, this.#tenantId, usedBlocks(blocks, stored));
    await insertSpans(
      this.#sql,
      this.#tenantId,
      stored.map(({ row }) => row),
    );
    await insertRollups(this.#sql, this.#tenantId, this.#deltas.deltas());
    return this.#count(deliveries, stored.length, begun.size, meeting);
  }

  /** Merges what is delivered into traces that exist already; the locks of their rows put writers in line. */
  async #meet(traceIds: readonly string[], traces: ReadonlyMap<string, Group>): Promise<Meeting> {
    const states = await lockTraces(this.#sql, this.#tenantId, traceIds);
    const delivered = traceIds.flatMap((traceId) => (traces.get(traceId) as Group).spans);
    const days = new Set(states.flatMap((state) => state.days));
    const kept = await findSpans(
      this.#sql,
      this.#tenantId,
      [...days],
      delivered.map(({ row }) => row),
    );
    const keptById = new Map(kept.map((row) => [idOf(row), row]));
    const dropped = new Set(delivered.filter(({ row }) => keptById.get(idOf(row))?.contentHash === row.contentHash));
    const replaced = delivered
      .filter((record) => !dropped.has(record))
      .map(({ row }) => keptById.get(idOf(row)))
      .filter((row) => row !== undefined);
    await deleteSpans(this.#sql, this.#tenantId, replaced);
    const replacedOf = Map.groupBy(replaced, ({ traceId }) => traceId);
    const updates: TraceRow[] = [];
    for (const state of states) {
      const { spans, summary } = traces.get(state.traceId) as Group;
      const fresh = spans.filter((record) => !dropped.has(record));
      if (fresh.length === 0) continue;
      const gone = replacedOf.get(state.traceId) ?? [];
      const freshRows = fresh.map(({ row: span }) => span);
      const before = summaryFrom(state, this.#terms.key);
      const { changed, isFreshChanged } = await this.#billAgain(state, before.callCount, freshRows);
      const isOwn = fresh.length === spans.length && !isFreshChanged;
      const now =
        gone.length > 0 || changed.length > 0
          ? await this.#summedAgain(state, fresh)
          : merged(before, isOwn ? summary : summaryOf(fresh));
      const row = traceRow(now, this.#terms.key);
      updates.push(row);
      await this.#countChange(state, row, { gone, changed, fresh: freshRows });
    }
    await updateTraces(this.#sql, this.#tenantId, updates);
    return { dropped, replaced: replaced.length };
  }

  /**
   * Decides again what of the trace is billed, what is fresh included: a late span may be the one that another repeats.
   * Rows that are there already are written; answers them as they were and as they are.
   */
  async #billAgain(state: TraceState, keptCalls: number, fresh: readonly SpanRow[]): Promise<Rebilled> {
    if (keptCalls + fresh.filter(looksLikeCall).length < 2) return NOTHING_REBILLED;
    const { traceId, days } = state;
    const kept = await spansOfTrace(this.#sql, this.#tenantId, traceId, days, MAX_SPANS_TO_BILL + 1);
    const before = new Map(kept.filter(looksLikeCall).map((row) => [row, { ...row }]));
    const marked = new Set(markBilled([...kept, ...fresh]));
    const changed = [...before].flatMap(([is, was]) => (marked.has(is) ? [{ was, is }] : []));
    await updateBills(
      this.#sql,
      this.#tenantId,
      changed.map(({ is }) => is),
    );
    return { changed, isFreshChanged: fresh.some((row) => marked.has(row)) };
  }

  /** Charts after the change of one trace; where its start moves to another minute, all its spans move along. */
  async #countChange(before: TraceState, after: TraceRow, spans: SpanChanges): Promise<void> {
    this.#deltas.addTrace(before, -1);
    this.#deltas.addTrace(after, 1);
    this.#deltas.addSpans(spans.gone, before.startNs, -1);
    for (const { was, is } of spans.changed) {
      this.#deltas.addSpans([was], before.startNs, -1);
      this.#deltas.addSpans([is], before.startNs, 1);
    }
    this.#deltas.addSpans(spans.fresh, after.startNs, 1);
    if (minuteOf(before.startNs) === minuteOf(after.startNs)) return;
    const { traceId, days } = before;
    // what is replaced is out already, what is fresh not in yet
    const staying = await spansOfTrace(this.#sql, this.#tenantId, traceId, days, MAX_SPANS_TO_SUM);
    this.#deltas.addSpans(staying, before.startNs, -1);
    this.#deltas.addSpans(staying, after.startNs, 1);
  }

  /** The summary of a trace from its rows and blocks, after what is replaced was taken out. */
  async #summedAgain(state: TraceState, fresh: readonly Recorded[]): Promise<Summary> {
    const rows = await spansOfTrace(this.#sql, this.#tenantId, state.traceId, state.days, MAX_SPANS_TO_SUM);
    const blocks = await this.#blocksOf(rows);
    const records = rows.map((row): Recorded => {
      const block = blocks.get(row.blockId);
      if (block === undefined) return { row, span: spanWithoutContent(row), price: undefined };
      return { row, ...spanFrom(row, block) };
    });
    return summaryOf([...records, ...fresh]);
  }

  /** Blocks of several traces are often the same ones: each is opened once. */
  async #blocksOf(rows: readonly SpanRow[]): Promise<ReadonlyMap<string, ContentBlock>> {
    const missing = rows.filter(({ blockId }) => !this.#opened.has(blockId));
    const days = new Set(missing.map(({ blockDay }) => blockDay));
    const blockIds = new Set(missing.map(({ blockId }) => blockId));
    const { key } = this.#terms;
    for (const { blockId, sealed } of await readBlocks(this.#sql, this.#tenantId, [...days], [...blockIds])) {
      this.#opened.set(blockId, decodeBlock(key.open('content', blockAad(blockId), sealed)));
    }
    return this.#opened;
  }

  async #count(deliveries: readonly Delivery[], stored: number, newTraces: number, meeting: Meeting): Promise<Written> {
    const inside = { duplicates: 0, replaced: 0, bytes: 0 };
    for (const delivery of deliveries) {
      inside.duplicates += delivery.duplicates;
      inside.replaced += delivery.replaced;
      inside.bytes += delivery.bytes;
    }
    const counted = {
      traces: newTraces,
      spans: stored - meeting.replaced,
      duplicates: inside.duplicates + meeting.dropped.size,
      replaced: inside.replaced + meeting.replaced,
    };
    // Last, because its row stays locked until the commit.
    const tracesToday = await addUsage(this.#sql, this.#tenantId, this.#terms.day, { ...counted, bytes: inside.bytes });
    if (newTraces > 0 && tracesToday > this.#terms.tracesPerDay) throw new QuotaReached(this.#terms.tracesPerDay);
    return { stored, duplicates: counted.duplicates, replaced: counted.replaced, newTraces, tracesToday };
  }
}

/** What of the delivered spans was there already. */
interface Meeting {
  dropped: ReadonlySet<Recorded>;
  replaced: number;
}

const NOTHING_MET: Meeting = { dropped: new Set(), replaced: 0 };

/** A row that is there already, before and after it was decided again whether it is billed. */
interface RebilledSpan {
  was: SpanRow;
  is: SpanRow;
}

interface Rebilled {
  changed: readonly RebilledSpan[];
  isFreshChanged: boolean;
}

const NOTHING_REBILLED: Rebilled = { changed: [], isFreshChanged: false };

interface SpanChanges {
  gone: readonly SpanRow[];
  changed: readonly RebilledSpan[];
  fresh: readonly SpanRow[];
}

interface Group {
  spans: Recorded[];
  summary: Summary;
}

function tracesOf(deliveries: readonly Delivery[]): Map<string, Group> {
  const traces = new Map<string, Group>();
  for (const delivery of deliveries) {
    for (const [traceId, { spans, summary }] of delivery.traces) {
      const known = traces.get(traceId);
      const all = known === undefined ? spans : [...known.spans, ...spans];
      // also what an earlier try decided together with spans that are not written now
      const changed = markBilled(all.map(({ row }) => row));
      if (known === undefined) traces.set(traceId, { spans, summary });
      else {
        const sum = changed.length > 0 ? summaryOf(all) : merged(known.summary, summary);
        traces.set(traceId, { spans: all, summary: sum });
      }
    }
  }
  return traces;
}

/** A block whose spans were all there already is left out. */
function usedBlocks(blocks: readonly BlockRow[], stored: readonly Recorded[]): BlockRow[] {
  const used = new Set(stored.map(({ row }) => row.blockId));
  return blocks.filter(({ blockId }) => used.has(blockId));
}

const idOf = ({ traceId, spanId }: { traceId: string; spanId: bigint }): string => `${traceId}${spanId}`;
