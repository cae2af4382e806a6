// One call in two traces: a client that traces itself beside an instrumentation that does not make its span current.
import type { Recorded } from './record.ts';

/** Clients that trace themselves, with counts and without words, whatever instruments them. */
const SELF_TRACING_SCOPE = /^com\.anthropic\.sdk\./;

/**
 * Leaves the client's own root span unbilled where the same request brings another trace's span with the same response
 * id: OpenLLMetry and LangChain's OpenInference for Python send both as roots, so that nothing inside a trace tells that
 * they are one call. Both spans end within a moment and leave a batching exporter together; where an exporter sends
 * every span alone both are billed, since no look-up across traces stands behind this.
 */
export function leaveOutSelfTraced(records: readonly Recorded[]): void {
  const traceOfResponse = new Map<bigint, string>();
  for (const record of records) {
    const { billable, responseHash, traceId } = record.row;
    if (billable && responseHash !== null && !tracesItself(record)) traceOfResponse.set(responseHash, traceId);
  }
  if (traceOfResponse.size === 0) return;
  for (const record of records) {
    const { row } = record;
    if (row.responseHash === null || row.parentSpanId !== null || !tracesItself(record)) continue;
    const elsewhere = traceOfResponse.get(row.responseHash);
    if (elsewhere === undefined || elsewhere === row.traceId) continue;
    row.billable = false;
    record.price = undefined;
    record.span.issues.push(
      `Not billed: the call is billed in trace ${elsewhere}, which has the same gen_ai.response.id`,
    );
  }
}

function tracesItself({ span }: Recorded): boolean {
  return SELF_TRACING_SCOPE.test(span.context.scopeName);
}
