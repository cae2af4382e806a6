// Redaction: the rules in force, a new version of them, what they found, and a try before saving.
import type { RedactionAction, RedactionHit, RedactionRule, RedactionRules } from '@lumatrace/telemetry';
import { queryOptions } from '@tanstack/react-query';
import { fetchJson } from './client.ts';

export type { RedactionAction, RedactionRule };

export type RedactionSet = Omit<RedactionRules, 'version'>;

export interface Redaction extends RedactionRules {
  changedAt: string | null;
  changedBy: string | null;
  detectors: { id: string; name: string; kind: 'secret' | 'personal'; example: string }[];
}

export interface TryAnswer {
  before: unknown;
  after: unknown;
  hits: RedactionHit[];
}

/** What is tried: a text, or a span that is stored. */
export type Trial = { text: string } | { traceId: string; spanId?: string };

export const redactionQuery = queryOptions({
  queryKey: ['redaction'],
  queryFn: ({ signal }) => fetchJson<Redaction>('/api/redaction', { signal }),
});

export const redactionHitsQuery = queryOptions({
  queryKey: ['redaction-hits'],
  queryFn: async ({ signal }) =>
    (
      await fetchJson<{ data: { day: string; ruleId: string; hits: number }[] }>('/api/redaction/hits', {
        query: { days: 7 },
        signal,
      })
    ).data,
  refetchInterval: 30_000,
});

export const saveRedaction = (set: RedactionSet & { version: string }): Promise<Redaction> =>
  fetchJson('/api/redaction', { method: 'PUT', json: set });

export function tryQuery(set: RedactionSet, trial: Trial) {
  const { personalData, rules } = set;
  return queryOptions({
    queryKey: ['redaction-try', personalData, rules, trial],
    queryFn: ({ signal }) =>
      fetchJson<TryAnswer>('/api/redaction/try', {
        method: 'POST',
        json: { rules: { personalData, rules }, ...trial },
        signal,
      }),
    retry: false,
    gcTime: 0,
  });
}
