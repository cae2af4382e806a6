// One trace: the outline of its spans for the waterfall, and a span with what it said when it is chosen.
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
  /** Present when it came as a log record. */
  log?: { severity_number: number; severity_text: string; body: unknown; service_name: string };
}

/** What somebody found a span, or the trace as a whole (span_id null), to be worth. */
export interface Score {
  score_id: string;
  span_id: string | null;
  name: string;
  value: number | null;
  label: string | null;
  explanation: string | null;
  source: 'sdk' | 'api' | 'evaluator';
  timestamp: string;
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
  /** Of a span that looks like a call and is not billed: which span is billed for it, and why. */
  repeats: { span_id: string; reason: string } | null;
  cost_components: CostComponent[] | null;
  price_version: string | null;
  /** The provider and model of the price table that the call was matched to. */
  priced_as: { provider: string; model: string; override_id?: string } | null;
  unpriced_reason: string | null;
  client_cost_usd: string | null;
  photo_id: string | null;
  messages: { input: Message[]; output: Message[]; systemInstructions: Part[]; toolDefinitions: unknown[] } | null;
  attributes: Record<string, unknown> | null;
  events: SpanEvent[] | null;
  scores: Score[];
  mapped_from: Record<string, string> | null;
  resource: Record<string, unknown> | null;
  scope: { name: string; version: string } | null;
  /** What was odd about the span and what was done about it, one sentence each. */
  issues: string[];
  /** What the client, or the reader at its limits, left out. */
  dropped: { attributes: number; events: number; links: number };
}

/** A span of the outline; what is null, zero, unset or false is left out of the answer. */
export interface OutlineSpan {
  span_id: string;
  parent_span_id?: string;
  name: string;
  service_name: string;
  start_ns: string;
  end_ns: string;
  operation?: string;
  model?: string;
  status?: TraceItem['status'];
  prompt_tokens?: number;
  completion_tokens?: number;
  billable?: true;
  cost_usd?: string | null;
}

export interface TraceOutline extends TraceItem {
  spans: OutlineSpan[];
  scores: Score[];
  /** The trace has more spans than one answer holds; the earliest are here. */
  spans_truncated: boolean;
}

/** Thousands of spans in some milliseconds: no messages, no attributes. */
export function traceQuery(traceId: string) {
  return queryOptions({
    queryKey: ['trace', traceId],
    queryFn: ({ signal }) => fetchJson<TraceOutline>(`/api/traces/${encodeURIComponent(traceId)}/outline`, { signal }),
    staleTime: 30_000,
    // a trace of ten thousand spans need not be compared with itself when it is read again
    structuralSharing: false,
  });
}

export function spanQuery(traceId: string, spanId: string) {
  return queryOptions({
    queryKey: ['trace', traceId, 'span', spanId],
    queryFn: ({ signal }) =>
      fetchJson<SpanItem>(`/api/traces/${encodeURIComponent(traceId)}/spans/${encodeURIComponent(spanId)}`, { signal }),
    staleTime: 30_000,
  });
}
