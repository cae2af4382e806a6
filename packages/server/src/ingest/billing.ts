// The rows of a trace marked as billed or not: several spans may describe one call.
import { NOT_BILLED_REASONS, notBilled, type BillingSpan, type NotBilled } from '@lumatrace/telemetry';
import type { SpanRow } from '../storage/postgres/spans.ts';

/** A trace of more spans is not looked through for repetitions again when one more arrives. */
export const MAX_SPANS_TO_BILL = 20_000;

const NONE: ReadonlyMap<bigint, NotBilled> = new Map();

/** Whether the span alone is one paid call, billed or described by another. */
export function looksLikeCall({ billable, repeatsSpanId }: Pick<SpanRow, 'billable' | 'repeatsSpanId'>): boolean {
  return billable || repeatsSpanId !== null;
}

/** Decides for all `rows` of one trace and marks them; answers those that changed. */
export function markBilled<R extends SpanRow>(rows: readonly R[]): R[] {
  const calls = rows.filter(looksLikeCall);
  if (calls.length === 0 || rows.length > MAX_SPANS_TO_BILL) return [];
  const found = calls.length === 1 ? NONE : notBilled(rows.map(billingSpanOf));
  const changed: R[] = [];
  for (const row of calls) {
    const why = found.get(row.spanId);
    const by = why?.by ?? null;
    const reason = why === undefined ? null : NOT_BILLED_REASONS.indexOf(why.reason);
    if (by === row.repeatsSpanId && reason === row.repeatsReason) continue;
    row.repeatsSpanId = by;
    row.repeatsReason = reason;
    row.billable = by === null;
    changed.push(row);
  }
  return changed;
}

export function billingSpanOf(row: SpanRow): BillingSpan {
  return { ...row, isCall: looksLikeCall(row), response: row.responseHash };
}
