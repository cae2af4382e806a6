// Prices: the table in use, the tenant's overrides, what a call would cost, and pricing stored spans again.
import { queryOptions } from '@tanstack/react-query';
import { fetchJson } from './client.ts';

export const MODEL_RULES = [
  ['equals', 'is'],
  ['starts_with', 'starts with'],
  ['ends_with', 'ends with'],
  ['contains', 'contains'],
  ['regex', 'matches (RE2)'],
] as const;
export type ModelRule = (typeof MODEL_RULES)[number][0];

export type Price = string | { base: string; tiers: [number, string][] };

export interface PriceOverride {
  id: string;
  model: { [kind in ModelRule]?: string };
  provider?: string;
  serviceTier?: string;
  from?: string;
  until?: string;
  prices: Record<string, Price>;
  note?: string;
}

export interface Prices {
  /** Name of the table and of the overrides, as spans carry it. */
  version: string;
  sha256: string;
  table: { source: string; version: string; models: number; installedAt: string | null; installedBy: string | null };
  overridesVersion: number;
  overrides: PriceOverride[];
  changedAt: string | null;
  changedBy: string | null;
}

export const pricesQuery = queryOptions({
  queryKey: ['prices'],
  queryFn: ({ signal }) => fetchJson<Prices>('/api/prices', { signal }),
});

export const savePrices = (overridesVersion: number, overrides: readonly PriceOverride[]): Promise<Prices> =>
  fetchJson('/api/prices', { method: 'PUT', json: { overridesVersion, overrides } });

export interface Question {
  model: string;
  provider?: string;
  serviceTier?: string;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens?: number;
}

export interface Quote {
  costUsd: string | null;
  components: { unit: string; quantity: number; usd: string; per: number; costUsd: string }[];
  priceVersion: string;
  why: string;
}

export const askPrice = (question: Question): Promise<Quote> =>
  fetchJson('/api/prices/quote', { method: 'POST', json: question });

export interface Change {
  spans: number;
  changed: number;
  unpricedBefore: number;
  unpricedAfter: number;
  oldUsd: string;
  newUsd: string;
  differenceUsd: string;
}

export interface DryRun extends Change {
  traces: number;
  tracesTotal: number;
  isComplete: boolean;
  priceVersion: string;
  models: (Change & { provider: string | null; model: string | null })[];
}

export interface Recost extends Change {
  recostId: string;
  state: 'queued' | 'running' | 'completed' | 'cancelled' | 'failed';
  from: string;
  to: string;
  priceVersion: string;
  tracesTotal: number;
  tracesDone: number;
  createdAt: string;
}

const RUNNING_POLL_MS = 1_000;

/** Looks again every second while a run is under way. */
export const recostsQuery = queryOptions({
  queryKey: ['prices', 'recost'],
  queryFn: async ({ signal }) => (await fetchJson<{ data: Recost[] }>('/api/prices/recost', { signal })).data,
  refetchInterval: ({ state }) => (state.data?.some(isUnderWay) ? RUNNING_POLL_MS : false),
});

export const isUnderWay = ({ state }: Recost): boolean => state === 'queued' || state === 'running';

export const dryRun = (from: string, to: string): Promise<DryRun> =>
  fetchJson('/api/prices/recost', { method: 'POST', json: { from, to, dryRun: true } });

export const startRecost = (from: string, to: string): Promise<Recost> =>
  fetchJson('/api/prices/recost', { method: 'POST', json: { from, to, dryRun: false } });

export const cancelRecost = (recostId: string): Promise<Recost> =>
  fetchJson(`/api/prices/recost/${encodeURIComponent(recostId)}`, { method: 'DELETE' });
