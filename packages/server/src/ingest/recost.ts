// Stored spans priced again: a batch of traces at a time, rows, blocks, summaries and rollups in one transaction.
import type { PriceBook } from '@lumatrace/telemetry';
import type { TenantKey } from '../keys/tenant-key.ts';
import { decodeBlock, encodeOpened, spanFrom, type ContentBlock } from '../storage/content-block.ts';
import type { Database, Sql } from '../storage/database.ts';
import { readBlocks, updateBlocks } from '../storage/postgres/content.ts';
import { tracesAfter, type PriceChange, type RecostBatch, type TraceRange } from '../storage/postgres/prices.ts';
import { insertRollups } from '../storage/postgres/rollups.ts';
import { spansOfTrace, updateBills, type SpanRow } from '../storage/postgres/spans.ts';
import { lockTraces, updateTraces, type TraceRow } from '../storage/postgres/traces.ts';
import { blockAad } from '../storage/sealed.ts';
import { looksLikeCall, markBilled } from './billing.ts';
import { rowPriceOf } from './record.ts';
import { RollupDeltas } from './rollup.ts';
import { summaryFrom, traceRow, type Summary } from './summary.ts';

export interface RecostTerms {
  key: TenantKey;
  prices: PriceBook;
  /** Changes nothing. */
  isDryRun: boolean;
  traces: number;
  /** In the transaction of the batch, after its writes. */
  onBatch?: (sql: Sql, batch: RecostBatch) => Promise<void>;
}

/** A trace of more spans keeps its prices: it would hold its lock too long. */
const MAX_SPANS = 100_000;

/** Prices the next traces of a range again. The same batch twice ends in the same rows. */
export function recostBatch(
  database: Database,
  tenantId: string,
  range: TraceRange,
  after: RecostBatch['last'],
  terms: RecostTerms,
): Promise<RecostBatch> {
  return database.inTenant(tenantId, async (sql) => {
    const recosting = new Recosting(sql, tenantId, terms);
    const found = await tracesAfter(sql, tenantId, range, after, terms.traces);
    if (found.length > 0) await recosting.run(found.map(({ traceId }) => traceId));
    const { total, models } = recosting;
    const batch: RecostBatch = { ...total, models, traces: found.length, last: found.at(-1) ?? null };
    await terms.onBatch?.(sql, batch);
    return batch;
  });
}

function nothing(): PriceChange {
  return { spans: 0, changed: 0, unpricedBefore: 0, unpricedAfter: 0, oldPico: 0n, newPico: 0n };
}

class Recosting {
  readonly total = nothing();
  /** By `provider\nmodel`. */
  readonly models = new Map<string, PriceChange>();
  readonly #sql: Sql;
  readonly #tenantId: string;
  readonly #terms: RecostTerms;
  readonly #deltas = new RollupDeltas();
  readonly #blocks = new Map<string, ContentBlock>();
  readonly #changedBlocks = new Set<string>();

  constructor(sql: Sql, tenantId: string, terms: RecostTerms) {
    this.#sql = sql;
    this.#tenantId = tenantId;
    this.#terms = terms;
  }

  async run(traceIds: readonly string[]): Promise<void> {
    const [sql, tenantId] = [this.#sql, this.#tenantId];
    // a dry run locks too, for the moment of its batch: what it reads is of one piece
    const states = await lockTraces(sql, tenantId, traceIds);
    const updates: TraceRow[] = [];
    const changedRows: SpanRow[] = [];
    const blockDays = new Set<number>();
    for (const state of states) {
      const rows = await spansOfTrace(sql, tenantId, state.traceId, state.days, MAX_SPANS + 1);
      if (rows.length > MAX_SPANS) continue;
      await this.#open(rows);
      const changes = this.#reprice(rows);
      if (changes.length === 0) continue;
      const before = summaryFrom(state, this.#terms.key);
      const after = traceRow({ ...before, ...moneyOf(rows) }, this.#terms.key);
      updates.push(after);
      this.#deltas.addTrace(state, -1);
      this.#deltas.addTrace(after, 1);
      for (const { was, is } of changes) {
        this.#deltas.addSpans([was], state.startNs, -1);
        this.#deltas.addSpans([is], state.startNs, 1);
        changedRows.push(is);
        blockDays.add(is.blockDay);
      }
    }
    if (this.#terms.isDryRun) return;
    await updateBills(sql, tenantId, changedRows);
    await updateTraces(sql, tenantId, updates);
    await insertRollups(sql, tenantId, this.#deltas.deltas());
    await this.#writeBlocks([...blockDays]);
  }

  async #open(rows: readonly SpanRow[]): Promise<void> {
    const missing = rows.filter((row) => looksLikeCall(row) && !this.#blocks.has(row.blockId));
    const days = new Set(missing.map(({ blockDay }) => blockDay));
    const blockIds = new Set(missing.map(({ blockId }) => blockId));
    const { key } = this.#terms;
    for (const { blockId, sealed } of await readBlocks(this.#sql, this.#tenantId, [...days], [...blockIds])) {
      this.#blocks.set(blockId, decodeBlock(key.open('content', blockAad(blockId), sealed)));
    }
  }

  /** Prices the calls among `rows` in place; answers those that changed, as they were and as they are. */
  #reprice(rows: readonly SpanRow[]): { was: SpanRow; is: SpanRow }[] {
    const before = new Map(rows.filter(looksLikeCall).map((row) => [row, { ...row }]));
    const changed = new Set<SpanRow>();
    for (const row of before.keys()) if (this.#repriceCall(row)) changed.add(row);
    for (const row of markBilled(rows)) changed.add(row);
    for (const [is, was] of before) this.#count(was, is);
    return [...before].flatMap(([is, was]) => (changed.has(is) ? [{ was, is }] : []));
  }

  #repriceCall(row: SpanRow): boolean {
    const block = this.#blocks.get(row.blockId);
    // without its content the service tier and the further counts are not known: the price stays
    if (block === undefined) return false;
    const price = rowPriceOf(spanFrom(row, block).span, this.#terms.prices);
    const stored = block.spans[row.blockIndex];
    // read by the table of today it may be no call any more: what was stored stays
    if (price.stored === undefined || stored === undefined) return false;
    const isSameBill = JSON.stringify(stored.p) === JSON.stringify(price.stored);
    if (!isSameBill) {
      stored.p = price.stored;
      this.#changedBlocks.add(row.blockId);
    }
    if (isSameBill && row.costPico === price.costPico && row.priceVersion === price.version) return false;
    row.costPico = price.costPico;
    row.priceVersion = price.version;
    return true;
  }

  #count(was: SpanRow, is: SpanRow): void {
    const name = `${is.provider ?? ''}\n${is.model ?? ''}`;
    const model = this.models.get(name) ?? nothing();
    this.models.set(name, model);
    for (const sum of [this.total, model]) {
      sum.spans++;
      if (was.costPico !== is.costPico || was.billable !== is.billable) sum.changed++;
      if (was.billable && was.costPico === null) sum.unpricedBefore++;
      if (is.billable && is.costPico === null) sum.unpricedAfter++;
      if (was.billable) sum.oldPico += was.costPico ?? 0n;
      if (is.billable) sum.newPico += is.costPico ?? 0n;
    }
  }

  async #writeBlocks(days: readonly number[]): Promise<void> {
    const { key } = this.#terms;
    const sealed = await Promise.all(
      [...this.#changedBlocks].map(async (blockId) => {
        const bytes = await encodeOpened(this.#blocks.get(blockId) as ContentBlock);
        return { blockId, sealed: key.seal('content', blockAad(blockId), bytes) };
      }),
    );
    const blockDays = new Set(days);
    await updateBlocks(this.#sql, this.#tenantId, [...blockDays], sealed);
  }
}

/** The part of a summary that prices decide. */
function moneyOf(
  rows: readonly SpanRow[],
): Pick<
  Summary,
  | 'callCount'
  | 'billableCount'
  | 'unpricedCount'
  | 'costPico'
  | 'inputTokens'
  | 'outputTokens'
  | 'unpricedModels'
  | 'unpricedServices'
> {
  const billed = rows.filter(({ billable }) => billable);
  const unpriced = billed.filter(({ costPico }) => costPico === null);
  return {
    callCount: rows.filter(looksLikeCall).length,
    billableCount: billed.length,
    unpricedCount: unpriced.length,
    costPico: billed.reduce((sum, { costPico }) => sum + (costPico ?? 0n), 0n),
    inputTokens: billed.reduce((sum, { inputTokens }) => sum + (inputTokens ?? 0), 0),
    outputTokens: billed.reduce((sum, { outputTokens }) => sum + (outputTokens ?? 0), 0),
    unpricedModels: new Set(unpriced.map(({ model }) => model ?? '')),
    unpricedServices: new Set(unpriced.map(({ service }) => service)),
  };
}
