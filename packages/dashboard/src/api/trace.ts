// One trace with all its spans.
import { queryOptions } from '@tanstack/react-query';
import type { Message, Part } from '@lumatrace/telemetry/messages.ts';
import { fetchJson } from './client.ts';
import type { TraceItem } from './telemetry.ts';

/** One line of the bill: `quantity` units at `usd` for `per` of them make `costUsd`. All amounts exact decimals. */
export interface CostComponent {
  unit: string;
  quantity: number;
  usd: string;
  per: number;
  costUsd: string;
}

export interface SpanEvent {
  name: string;
  time: string;
  attributes?: Record<string, unknown>;
}

export interface SpanItem extends Omit<TraceItem, 'span_count'> {
  kind: string;
  operation: string | null;
  status_message: string | null;
  error_type: string | null;
  /** Nanoseconds since 1970 as decimal text. */
  start_ns: string;
  end_ns: string;
  /** Counts in the cost of the trace; wrappers that repeat usage do not. */
  billable: boolean;
  cost_components: CostComponent[] | null;
  price_version: string | null;
  /** The provider and model of the price table that the call was matched to. */
  priced_as: { provider: string; model: string } | null;
  unpriced_reason: string | null;
  client_cost_usd: string | null;
  photo_id: string | null;
  messages: { input: Message[]; output: Message[]; systemInstructions: Part[]; toolDefinitions: unknown[] } | null;
  attributes: Record<string, unknown> | null;
  events: SpanEvent[] | null;
  mapped_from: Record<string, string> | null;
  resource: Record<string, unknown> | null;
  scope: { name: string; version: string } | null;
  /** What was odd about the span and what was done about it, one sentence each. */
  issues: string[];
}

export interface TraceAnswer extends TraceItem {
  spans: SpanItem[];
  /** The trace has more spans than one answer holds; the earliest are here. */
  spans_truncated: boolean;
}

export function traceQuery(traceId: string) {
  return queryOptions({
    queryKey: ['trace', traceId],
    queryFn: ({ signal }) => fetchJson<TraceAnswer>(`/api/traces/${encodeURIComponent(traceId)}`, { signal }),
    staleTime: 30_000,
  });
}
