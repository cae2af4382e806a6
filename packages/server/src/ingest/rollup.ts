// Spans counted into the cells of the rollups: what a chart adds up is exactly what was stored.
import { bucketOf } from '@lumatrace/telemetry';
import type { RollupDelta } from '../storage/postgres/rollups.ts';
import type { SpanRow } from '../storage/postgres/spans.ts';

const MINUTE_NS = 60_000_000_000n;
/** Below a nanosecond, in milliseconds: DDSketch keeps zeros apart. */
const MIN_LATENCY_MS = 1e-6;

/** Adds `rows` to `cells`; `sign` −1 takes them back. */
export function addToRollups(cells: Map<string, RollupDelta>, rows: readonly SpanRow[], sign: 1 | -1): void {
  for (const row of rows) {
    const cell = cellOf(cells, row);
    cell.spans += sign;
    addLatency(cell, Number(row.endNs - row.startNs) / 1e6, sign);
    if (!row.billable) continue;
    cell.billable += sign;
    if (row.costPico === null) cell.unpriced += sign;
    else cell.costPico += sign === 1 ? row.costPico : -row.costPico;
    cell.inputTokens += sign * (row.inputTokens ?? 0);
    cell.outputTokens += sign * (row.outputTokens ?? 0);
  }
}

function addLatency(cell: RollupDelta, latencyMs: number, sign: 1 | -1): void {
  if (latencyMs < MIN_LATENCY_MS) {
    cell.latencyZeros += sign;
    return;
  }
  const bucket = bucketOf(latencyMs);
  cell.latency.set(bucket, (cell.latency.get(bucket) ?? 0) + sign);
}

function cellOf(cells: Map<string, RollupDelta>, row: SpanRow): RollupDelta {
  const minute = Number(row.startNs / MINUTE_NS);
  const { service, status } = row;
  const model = row.model ?? '';
  const provider = row.provider ?? '';
  const operation = row.operation ?? '';
  const environment = row.environment ?? '';
  // no name holds U+0000: the decoder cleans it away
  const key = `${minute}\0${service}\0${model}\0${provider}\0${operation}\0${environment}\0${status}`;
  const known = cells.get(key);
  if (known !== undefined) return known;
  const cell: RollupDelta = {
    minute,
    service,
    model,
    provider,
    operation,
    environment,
    status,
    spans: 0,
    billable: 0,
    unpriced: 0,
    costPico: 0n,
    inputTokens: 0,
    outputTokens: 0,
    latencyZeros: 0,
    latency: new Map(),
  };
  cells.set(key, cell);
  return cell;
}
