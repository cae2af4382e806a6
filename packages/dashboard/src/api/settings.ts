// API keys and the tenant's settings.
import { queryOptions } from '@tanstack/react-query';
import { fetchJson } from './client.ts';

/** The contract's scopes and what each one allows, in the order they are offered. */
export const SCOPES = [
  ['traces:write', 'Send traces, logs and metrics'],
  ['traces:read', 'Read traces, sessions, analytics and exports'],
  ['photos:register', 'Register photos'],
  ['photos:protect', 'Protect photos'],
  ['photos:verify', 'Verify and identify photos, and read the list'],
  ['replay:run', 'Capture and run replays'],
  ['alerts:write', 'Change alert rules'],
  ['prices:write', 'Change prices'],
  ['keys:admin', 'Create and revoke API keys'],
  ['trust:read', 'Read the Trust Center'],
  ['trust:admin', 'Change the Trust Center'],
  ['audit:read', 'Read the audit log'],
] as const satisfies readonly (readonly [string, string])[];

export interface ApiKey {
  keyId: string;
  name: string;
  prefix: string;
  scopes: string[];
  createdAt: string;
  createdBy?: string | null;
  expiresAt: string | null;
  lastUsedAt: string | null;
  revokedAt: string | null;
  /** Made in its place; this one ends soon or has ended. */
  replacedBy: string | null;
}

export interface NewKey {
  name: string;
  scopes: readonly string[];
  /** ISO 8601; absent = never. */
  expiresAt?: string;
}

/** The key itself is in this answer and nowhere else, ever. */
export interface CreatedKey extends ApiKey {
  apiKey: string;
}

export const keysQuery = queryOptions({
  queryKey: ['keys'],
  queryFn: async ({ signal }) => (await fetchJson<{ data: ApiKey[] }>('/api/keys', { signal })).data,
});

export const createKey = (key: NewKey): Promise<CreatedKey> => fetchJson('/api/keys', { method: 'POST', json: key });

export const rotateKey = (keyId: string, overlapHours: number): Promise<CreatedKey & { previousEndsAt: string }> =>
  fetchJson(`/api/keys/${encodeURIComponent(keyId)}/rotate`, { method: 'POST', json: { overlapHours } });

export const revokeKey = (keyId: string): Promise<unknown> =>
  fetchJson(`/api/keys/${encodeURIComponent(keyId)}`, { method: 'DELETE' });

export interface ServiceAccount {
  serviceAccountId: string;
  username: string;
  /** Absent for the one of the first start. */
  name: string | null;
  scopes: string[];
  createdAt: string;
  createdBy: string | null;
  expiresAt: string | null;
  disabledAt: string | null;
  rotatedAt: string | null;
  lastUsedAt: string | null;
  /** Until then the password before the last rotation works too. */
  previousUntil: string | null;
}

/** The password is in this answer and nowhere else, ever. */
export interface ServiceAccountWithPassword extends ServiceAccount {
  password: string;
}

const SERVICE_ACCOUNTS = '/api/service-accounts';

export const serviceAccountsQuery = queryOptions({
  queryKey: ['service-accounts'],
  queryFn: async ({ signal }) => (await fetchJson<{ data: ServiceAccount[] }>(SERVICE_ACCOUNTS, { signal })).data,
});

export const createServiceAccount = (account: NewKey): Promise<ServiceAccountWithPassword> =>
  fetchJson(SERVICE_ACCOUNTS, { method: 'POST', json: account });

export const rotateServiceAccount = (id: string, overlapHours: number): Promise<ServiceAccountWithPassword> =>
  fetchJson(`${SERVICE_ACCOUNTS}/${encodeURIComponent(id)}/rotate`, { method: 'POST', json: { overlapHours } });

export const disableServiceAccount = (id: string): Promise<unknown> =>
  fetchJson(`${SERVICE_ACCOUNTS}/${encodeURIComponent(id)}`, { method: 'DELETE' });

export interface TenantSettings {
  tenantId: string;
  name: string;
  retentionDays: number;
  tracesPerDay: number;
  requestsPerHour: number;
}

export const settingsQuery = queryOptions({
  queryKey: ['settings'],
  queryFn: ({ signal }) => fetchJson<TenantSettings>('/api/settings', { signal }),
});

export const saveSettings = (change: { name?: string; retentionDays?: number }): Promise<TenantSettings> =>
  fetchJson('/api/settings', { method: 'PUT', json: change });
