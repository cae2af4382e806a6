// The audit log, page by page.
import { infiniteQueryOptions } from '@tanstack/react-query';
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
}

/** Empty members ask for everything. */
export interface AuditFilter {
  actor: string;
  action: string;
  object: string;
  outcome: string;
}

interface AuditPage {
  data: AuditLine[];
  nextBefore: number | null;
}

export const AUDIT_EXPORT = '/api/v1/audit/export';

export const auditQuery = (filter: AuditFilter) =>
  infiniteQueryOptions({
    queryKey: ['audit', filter],
    queryFn: ({ signal, pageParam }) =>
      fetchJson<AuditPage>(`/api/v1/audit?${searchOf(filter, pageParam)}`, { signal }),
    initialPageParam: null as number | null,
    getNextPageParam: ({ nextBefore }) => nextBefore,
  });

function searchOf(filter: AuditFilter, before: number | null): URLSearchParams {
  const given = Object.entries(filter).filter(([, value]) => value !== '');
  return new URLSearchParams([...given, ...(before === null ? [] : [['before', String(before)] as [string, string]])]);
}
