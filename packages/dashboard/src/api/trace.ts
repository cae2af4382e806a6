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
  kind?: string;
  operation?: string | null;
  status_message?: string | null;
  error_type?: string | null;
  environment?: string | null;
  /** Nanoseconds since 1970 as decimal text. */
  start_ns?: string;
  end_ns?: string;
  messages: { input: Message[]; output: Message[]; systemInstructions?: Part[]; toolDefinitions?: unknown[] } | null;
  attributes: Record<string, unknown> | null;
  events: SpanEvent[] | null;
  mapped_from: Record<string, string> | null;
  cost_components?: CostComponent[] | null;
  price_version?: string | null;
  unpriced_reason?: string | null;
  client_cost_usd?: string | null;
  photo_id?: string | null;
}

export interface TraceAnswer extends TraceItem {
  spans: SpanItem[];
}

export function traceQuery(traceId: string) {
  return queryOptions({
    queryKey: ['trace', traceId],
    queryFn: ({ signal }) => fetchJson<TraceAnswer>(`/api/traces/${encodeURIComponent(traceId)}`, { signal }),
    staleTime: 30_000,
  });
}
