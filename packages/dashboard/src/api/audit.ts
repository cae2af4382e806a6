// The audit log, page by page; whether it holds; what the program noticed.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { fetchJson } from './client.ts';

export interface AuditLine {
  position: number;
  /** RFC 3339. */
  at: string;
  actor: string;
  action: string;
  object: string;
  outcome: string;
  requestId: string | null;
  detail: unknown;
  hash: string;
}

/** Empty members ask for everything; `from` and `to` are days of the reader's zone, both included. */
export interface AuditFilter {
  actor: string;
  action: string;
  object: string;
  outcome: string;
  from: string;
  to: string;
}

interface AuditPage {
  data: AuditLine[];
  nextBefore: number | null;
}

export const AUDIT_EXPORT = '/api/v1/audit/export';
export const AUDIT_CHECKPOINTS = '/api/v1/audit/checkpoints';
export const proofOf = (position: number): string => `/api/v1/audit/lines/${position}/proof`;

export const auditQuery = (filter: AuditFilter) =>
  infiniteQueryOptions({
    queryKey: ['audit', filter],
    queryFn: ({ signal, pageParam }) =>
      fetchJson<AuditPage>(`/api/v1/audit?${searchOf(filter, pageParam).toString()}`, { signal }),
    initialPageParam: null as number | null,
    getNextPageParam: ({ nextBefore }) => nextBefore,
  });

function searchOf({ from, to, ...texts }: AuditFilter, before: number | null): URLSearchParams {
  const given = Object.entries({ ...texts, from: startOf(from, 0), to: startOf(to, 1) });
  const search = new URLSearchParams(given.filter(([, value]) => value !== ''));
  if (before !== null) search.set('before', String(before));
  return search;
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** When a day begins, or the one so many days after it; empty for what is no day. */
export function startOf(day: string, daysLater: number): string {
  if (!DAY.test(day)) return '';
  const date = new Date(`${day}T00:00:00`);
  date.setDate(date.getDate() + daysLater);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString();
}

export interface AuditState {
  lines: number;
  checkpoints: number;
  finding: { fault: string; position: number; because: string } | null;
}

/** Reads the whole log on the server, so it is not asked again by itself. */
export const auditStateQuery = queryOptions({
  queryKey: ['audit-state'],
  queryFn: ({ signal }) => fetchJson<AuditState>('/api/v1/audit/verification', { signal }),
  staleTime: Number.POSITIVE_INFINITY,
  retry: false,
});

export interface Alert {
  id: string;
  kind: string;
  about: string;
  at: string;
  detail: Record<string, unknown>;
}

const ALERTS_EVERY_MS = 20_000;

export const alertsQuery = queryOptions({
  queryKey: ['security-alerts'],
  queryFn: async ({ signal }) => (await fetchJson<{ data: Alert[] }>('/api/v1/audit/alerts', { signal })).data,
  refetchInterval: ALERTS_EVERY_MS,
  retry: false,
});

/** Whose scope includes reading the audit log. */
const READERS: ReadonlySet<string> = new Set(['owner', 'admin', 'auditor', 'security']);
export const readsAudit = (role: string | undefined): boolean => role !== undefined && READERS.has(role);

const SENTENCES: ReadonlyMap<string, string> = new Map([
  ['login.failures', 'Many failed logins'],
  ['foreign.ids', 'Many ids that are not there were asked for'],
  ['export.requests', 'Many exports'],
  ['export.lines', 'Much was exported'],
  ['audit.gap', 'The audit log has a gap'],
  ['audit.fault', 'A line of the audit log is not what was written'],
  ['audit.copy', 'Audit checkpoints cannot be brought to where they are kept besides'],
  ['credential.ends', 'An API key or a service account ends soon'],
  ['isolation.breach', 'The database no longer keeps tenants apart'],
]);

/** For people; a kind that is not known here is shown by its name. */
export const sentenceOf = ({ kind }: Alert): string => SENTENCES.get(kind) ?? kind;

/** Facts beside the sentence: a count, or why. */
export function factsOf({ detail }: Alert): string {
  const { count, withinSeconds, because, invariant, withinDays } = detail;
  if (typeof count === 'number') return `${count} within ${String(withinSeconds)} s`;
  if (typeof because === 'string') return because;
  if (typeof withinDays === 'number') return `within ${withinDays} days`;
  return typeof invariant === 'string' ? invariant : '';
}
