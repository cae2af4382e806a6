// Traces and spans counted into the cells of the rollups: what a chart adds up is exactly what was stored. A trace that
// changes is taken back as it was and added as it is; a span counts to the minute in which its trace begins.
import { bucketOf } from '@lumatrace/telemetry';
import {
  DIMENSIONS,
  TIER_MINUTES,
  TIERS,
  type Dimension,
  type RollupDelta,
  type Tier,
} from '../storage/postgres/rollups.ts';
import type { SpanRow } from '../storage/postgres/spans.ts';
import type { TraceState } from '../storage/postgres/traces.ts';

const MINUTE_NS = 60_000_000_000n;
/** Below a nanosecond, in milliseconds: DDSketch keeps zeros apart. */
const MIN_LATENCY_MS = 1e-6;
const ERROR = 2;
/** Calls of models, failed ones too, without the wrappers around them. */
const CALLS = new Set(['', 'chat', 'generate_content', 'text_completion', 'embeddings']);

/**
 * Thousands of users in every minute would be as many rows as traces: they have days and weeks only, and what is left of a day is
 * read from the summaries.
 */
const FIRST_TIER: Partial<Record<Dimension, Tier>> = { user: 'day', tag: 'day' };

/** What is summed from the cells of the first tier. */
const LARGER_TIERS: Partial<Record<Tier, readonly Tier[]>> = { minute: ['hour', 'day'], day: ['week'] };

/** What counts of a summary. */
export type CountedTrace = Omit<TraceState, 'traceId' | 'retentionClass' | 'days' | 'sealed'>;

export class RollupDeltas {
  /** Minutes, and days of users; hours and days are summed from them at the end. */
  readonly #cells = new Map<string, RollupDelta>();

  /** The sums of a whole trace and the names that occur in it. */
  addTrace(trace: CountedTrace, sign: 1 | -1): void {
    const minute = minuteOf(trace.startNs);
    this.#addWhole(trace, minute, 'traces', '', sign);
    this.#addWhole(trace, minute, 'rootService', trace.service, sign);
    this.#addWhole(trace, minute, 'endpoint', trace.endpoint, sign);
    this.#addWhole(trace, minute, 'environment', trace.environment ?? '', sign);
    this.#addWhole(trace, minute, 'user', trace.userId ?? '', sign);
    this.#addWhole(trace, minute, 'traceStatus', String(trace.status), sign);
    this.#addNames(minute, 'service', trace.services, trace.unpricedServices, sign);
    this.#addNames(minute, 'model', trace.models, trace.unpricedModels, sign);
    this.#addNames(minute, 'tag', trace.tags, [], sign);
  }

  /** Spans of one trace, which begins at `traceStartNs`. */
  addSpans(rows: readonly SpanRow[], traceStartNs: bigint, sign: 1 | -1): void {
    const minute = minuteOf(traceStartNs);
    for (const row of rows) {
      addSpan(this.#cell('minute', 'spans', minute, ''), row, sign);
      addSpan(this.#cell('minute', 'service', minute, row.service), row, sign);
      addSpan(this.#cell('minute', 'model', minute, row.model ?? ''), row, sign);
      addSpan(this.#cell('minute', 'status', minute, String(row.status)), row, sign);
    }
  }

  /** What was added and not taken back, in every tier. Ends this collection. */
  deltas(): RollupDelta[] {
    const first = Array.from(this.#cells.values());
    for (const cell of first) {
      const minute = cell.slot * TIER_MINUTES[cell.tier];
      for (const tier of LARGER_TIERS[cell.tier] ?? []) merge(this.#cell(tier, cell.dimension, minute, cell.key), cell);
    }
    return [...this.#cells.values()].filter(isSomething);
  }

  #addWhole(trace: CountedTrace, minute: number, dimension: Dimension, key: string, sign: 1 | -1): void {
    const cell = this.#cell(FIRST_TIER[dimension] ?? 'minute', dimension, minute, key);
    cell.traces += sign;
    if (trace.unpricedCount > 0) cell.unpricedTraces += sign;
    cell.spans += sign * trace.spanCount;
    cell.errors += sign * trace.errorCount;
    cell.billable += sign * trace.billableCount;
    cell.unpriced += sign * trace.unpricedCount;
    cell.costPico += sign === 1 ? trace.costPico : -trace.costPico;
    cell.inputTokens += sign * trace.inputTokens;
    cell.outputTokens += sign * trace.outputTokens;
    addLatency(cell, trace.endNs - trace.startNs, sign);
  }

  #addNames(
    minute: number,
    dimension: Dimension,
    names: readonly string[],
    unpriced: readonly string[],
    sign: 1 | -1,
  ): void {
    // a call without a model is in no list of models, and always without a price
    const counted = unpriced.includes('') ? [...names, ''] : names;
    for (const name of counted) {
      const cell = this.#cell(FIRST_TIER[dimension] ?? 'minute', dimension, minute, name);
      cell.traces += sign;
      if (unpriced.includes(name)) cell.unpricedTraces += sign;
    }
  }

  #cell(tier: Tier, dimension: Dimension, minute: number, key: string): RollupDelta {
    const slot = Math.floor(minute / TIER_MINUTES[tier]);
    // no name holds U+0000: the decoder cleans it away
    const id = `${TIERS[tier]}\0${DIMENSIONS[dimension]}\0${slot}\0${key}`;
    const known = this.#cells.get(id);
    if (known !== undefined) return known;
    const cell: RollupDelta = {
      tier,
      dimension,
      slot,
      key,
      traces: 0,
      unpricedTraces: 0,
      spans: 0,
      errors: 0,
      billable: 0,
      unpriced: 0,
      costPico: 0n,
      inputTokens: 0,
      outputTokens: 0,
      latencyNs: 0n,
      latencyZeros: 0,
      latency: new Map(),
    };
    this.#cells.set(id, cell);
    return cell;
  }
}

function addSpan(cell: RollupDelta, row: SpanRow, sign: 1 | -1): void {
  cell.spans += sign;
  if (row.status === ERROR) cell.errors += sign;
  const isCall = row.model !== null && row.model !== '' && CALLS.has(row.operation ?? '');
  if (isCall) addLatency(cell, row.endNs - row.startNs, sign);
  if (!row.billable) return;
  cell.billable += sign;
  if (row.costPico === null) cell.unpriced += sign;
  else cell.costPico += sign === 1 ? row.costPico : -row.costPico;
  cell.inputTokens += sign * (row.inputTokens ?? 0);
  cell.outputTokens += sign * (row.outputTokens ?? 0);
}

function merge(into: RollupDelta, from: RollupDelta): void {
  into.traces += from.traces;
  into.unpricedTraces += from.unpricedTraces;
  into.spans += from.spans;
  into.errors += from.errors;
  into.billable += from.billable;
  into.unpriced += from.unpriced;
  into.costPico += from.costPico;
  into.inputTokens += from.inputTokens;
  into.outputTokens += from.outputTokens;
  into.latencyNs += from.latencyNs;
  into.latencyZeros += from.latencyZeros;
  for (const [bucket, count] of from.latency) into.latency.set(bucket, (into.latency.get(bucket) ?? 0) + count);
}

function addLatency(cell: RollupDelta, latencyNs: bigint, sign: 1 | -1): void {
  cell.latencyNs += sign === 1 ? latencyNs : -latencyNs;
  const latencyMs = Number(latencyNs) / 1e6;
  if (latencyMs < MIN_LATENCY_MS) {
    cell.latencyZeros += sign;
    return;
  }
  const bucket = bucketOf(latencyMs);
  cell.latency.set(bucket, (cell.latency.get(bucket) ?? 0) + sign);
}

/** A trace that changed in its tags only is taken back and added to the same cells. */
function isSomething(cell: RollupDelta): boolean {
  return (
    cell.traces !== 0 ||
    cell.unpricedTraces !== 0 ||
    cell.spans !== 0 ||
    cell.errors !== 0 ||
    cell.billable !== 0 ||
    cell.unpriced !== 0 ||
    cell.costPico !== 0n ||
    cell.inputTokens !== 0 ||
    cell.outputTokens !== 0 ||
    cell.latencyNs !== 0n ||
    cell.latencyZeros !== 0 ||
    cell.latency.values().some((count) => count !== 0)
  );
}

export const minuteOf = (startNs: bigint): number => Number(startNs / MINUTE_NS);
