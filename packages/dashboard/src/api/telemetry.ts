// Questions about traces: the shapes of the contract and the queries that ask for them.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import type { TraceQuery } from '../filters/filter.ts';
import { datesOf, type Interval } from '../filters/range.ts';
import { fetchJson } from './client.ts';

export type Status = 'ok' | 'error' | 'unset';

/** Fields that a trace and each of its spans share. Costs are exact decimal strings; null = unpriced. */
export interface TraceItem {
  trace_id: string;
  span_id: string;
  parent_span_id: string | null;
  name: string;
  service_name: string;
  model: string | null;
  provider: string | null;
  prompt: string | null;
  response: string | null;
  cost_usd: string | null;
  cost_priced_usd: string;
  latency_ms: number;
  prompt_tokens: number;
  completion_tokens: number;
  status: Status;
  tags: string[];
  metadata: Record<string, unknown> | null;
  timestamp: string;
  user_id: string | null;
  session_id: string | null;
  span_count: number;
  error_count?: number;
  /** In a list filtered by model or service: what their calls alone cost. */
  matching_cost_usd?: string | null;
  matching_cost_priced_usd?: string;
}

export interface Page<Item> {
  data: Item[];
  pagination: { total?: number; limit: number; nextCursor: string | null; hasMore: boolean };
}

export const PAGE_SIZE = 100;

/** The list, page after page; `interval` is fixed while one list is read, since the cursor is bound to it. */
export function tracesQuery(query: TraceQuery, interval: Interval) {
  return infiniteQueryOptions({
    queryKey: ['traces', query, interval],
    queryFn: ({ pageParam, signal }) =>
      fetchJson<Page<TraceItem>>('/api/traces', {
        query: { ...query, ...datesOf(interval), limit: PAGE_SIZE, cursor: pageParam },
        signal,
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.pagination.nextCursor ?? undefined,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** The newest few, without pages. */
export function latestTracesQuery(query: TraceQuery, interval: Interval, limit: number) {
  return queryOptions({
    queryKey: ['traces', 'latest', query, interval, limit],
    queryFn: ({ signal }) =>
      fetchJson<Page<TraceItem>>('/api/traces', { query: { ...query, ...datesOf(interval), limit }, signal }),
    staleTime: 30_000,
  });
}

/** What came after the newest trace of a list, for "12 new"; asked every five seconds. */
export function newerTracesQuery(query: TraceQuery, newest: TraceItem | undefined) {
  return queryOptions({
    queryKey: ['traces', 'newer', query, newest?.trace_id],
    queryFn: ({ signal }) =>
      fetchJson<Page<TraceItem>>('/api/traces', {
        query: { ...query, startDate: newest?.timestamp, limit: PAGE_SIZE },
        signal,
      }),
    enabled: newest !== undefined,
    refetchInterval: 5_000,
    retry: false,
  });
}

export interface FacetValue {
  value: string;
  count: number;
}

export interface Facets {
  services: FacetValue[];
  models: FacetValue[];
  environments: FacetValue[];
  tags: FacetValue[];
  users: FacetValue[];
  statuses: FacetValue[];
}

export function facetsQuery(interval: Interval) {
  return queryOptions({
    queryKey: ['facets', interval],
    queryFn: ({ signal }) => fetchJson<Facets>('/api/facets', { query: datesOf(interval), signal }),
    staleTime: 60_000,
  });
}

export type GroupBy = 'none' | 'service' | 'model' | 'status';
export type Metric = 'cost' | 'tokens' | 'traces' | 'spans' | 'errors' | 'latency';

export interface SeriesPoint {
  t: string;
  /** Decimal string for cost, number for counts; latency has percentiles and a count instead. */
  value?: string | number;
  p50?: number;
  p95?: number;
  p99?: number;
  count?: number;
}

export interface SeriesAnswer {
  intervalMs: number;
  startDate: string;
  endDate: string;
  /** Groups beyond the largest, left out. */
  omittedSeries: number;
  series: { groupKey: string | null; points: SeriesPoint[] }[];
}

export function seriesQuery(metric: Metric, groupBy: GroupBy, interval: Interval) {
  return queryOptions({
    queryKey: ['series', metric, groupBy, interval],
    queryFn: ({ signal }) =>
      fetchJson<SeriesAnswer>('/api/analytics/series', {
        query: { metric, groupBy, interval: 'auto', ...datesOf(interval) },
        signal,
      }),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });
}

/** `unpricedCount` counts billable spans without a price, `unpricedTraces` the traces that hold any. */
interface CostFigures {
  totalCost: string;
  traceCount: number;
  unpricedCount: number;
  unpricedTraces: number;
}

export interface CostAnswer extends CostFigures {
  avgCost: string;
  breakdown: (CostFigures & { groupKey: string | null })[];
}

export function costQuery(groupBy: string, interval: Interval) {
  return queryOptions({
    queryKey: ['cost', groupBy, interval],
    queryFn: ({ signal }) =>
      fetchJson<CostAnswer>('/api/analytics/cost', { query: { groupBy, ...datesOf(interval) }, signal }),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });
}

export interface LatencyFigures {
  avgLatency: number | null;
  p50Latency: number | null;
  p95Latency: number | null;
  p99Latency: number | null;
}

export interface LatencyAnswer extends LatencyFigures {
  breakdown: (LatencyFigures & { groupKey: string | null; traceCount: number })[];
}

export function latencyQuery(groupBy: string, interval: Interval) {
  return queryOptions({
    queryKey: ['latency', groupBy, interval],
    queryFn: ({ signal }) =>
      fetchJson<LatencyAnswer>('/api/analytics/latency', { query: { groupBy, ...datesOf(interval) }, signal }),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });
}
