// Where the person is logged in.
import { queryOptions } from '@tanstack/react-query';
import { fetchJson } from './client.ts';

export interface LoginSession {
  id: string;
  tenantId: string;
  /** Such as "Firefox on Linux". */
  device: string | null;
  createdAt: string;
  lastSeenAt: string;
  expiresAt: string;
  isCurrent: boolean;
}

export const loginSessionsQuery = queryOptions({
  queryKey: ['login-sessions'],
  queryFn: async ({ signal }) => (await fetchJson<{ data: LoginSession[] }>('/api/login-sessions', { signal })).data,
});

export const endSession = (id: string): Promise<unknown> =>
  fetchJson(`/api/login-sessions/${encodeURIComponent(id)}`, { method: 'DELETE' });

export const endOtherSessions = (): Promise<unknown> => fetchJson('/api/login-sessions', { method: 'DELETE' });
