// Members, invitations, and the workspaces of the person who is logged in.
import { queryOptions } from '@tanstack/react-query';
import { fetchJson } from './client.ts';
import type { Session } from './session.ts';

/** From the one that may most; the server's list. */
export const ROLES = [
  ['owner', 'everything, also erasing the workspace'],
  ['admin', 'everything but owners'],
  ['analyst', 'works with traces and photos'],
  ['viewer', 'reads traces, verifies photos'],
  ['auditor', 'reads evidence and the audit log'],
  ['security', 'runs the Trust Center'],
] as const satisfies readonly (readonly [string, string])[];

export interface Member {
  id: string;
  email: string;
  name: string;
  role: string;
  createdAt: string;
  lastLoginAt: string | null;
  /** An identity provider of the workspace vouches for them. */
  isManaged: boolean;
}

export const membersQuery = queryOptions({
  queryKey: ['members'],
  queryFn: async ({ signal }) => (await fetchJson<{ data: Member[] }>('/api/members', { signal })).data,
});

const member = (id: string): string => `/api/members/${encodeURIComponent(id)}`;

export const changeRole = (change: { id: string; role: string }): Promise<unknown> =>
  fetchJson(member(change.id), { method: 'PATCH', json: { role: change.role } });

export const removeMember = (id: string): Promise<unknown> => fetchJson(member(id), { method: 'DELETE' });

export const endMemberSessions = (id: string): Promise<{ ended: number }> =>
  fetchJson(`${member(id)}/sessions`, { method: 'DELETE' });

export interface Invitation {
  invitationId: string;
  email: string;
  role: string;
  expiresAt: string;
}

export const invitationsQuery = queryOptions({
  queryKey: ['invitations'],
  queryFn: async ({ signal }) => (await fetchJson<{ data: Invitation[] }>('/api/invitations', { signal })).data,
});

/** The link is in this answer and nowhere else, ever. */
export const invite = (wanted: { email: string; role: string }): Promise<Invitation & { url: string }> =>
  fetchJson('/api/invitations', { method: 'POST', json: wanted });

export const revokeInvitation = (id: string): Promise<unknown> =>
  fetchJson(`/api/invitations/${encodeURIComponent(id)}`, { method: 'DELETE' });

export interface InvitationShown {
  tenantName: string;
  email: string;
  role: string;
  expiresAt: string;
}

export const invitationQuery = (token: string) =>
  queryOptions({
    queryKey: ['invitation', token],
    queryFn: () => fetchJson<InvitationShown>('/auth/invitations/look', { method: 'POST', json: { token } }),
    retry: false,
  });

export const acceptInvitation = (person: { token: string; name: string; password: string }): Promise<Session> =>
  fetchJson('/auth/invitations/accept', { method: 'POST', json: person });

export const joinByInvitation = (token: string): Promise<{ tenantId: string }> =>
  fetchJson('/auth/invitations/join', { method: 'POST', json: { token } });

export interface OwnTenant {
  tenantId: string;
  name: string;
  role: string;
  isCurrent: boolean;
}

export const ownTenantsQuery = queryOptions({
  queryKey: ['own-tenants'],
  queryFn: async ({ signal }) => (await fetchJson<{ data: OwnTenant[] }>('/auth/tenants', { signal })).data,
  staleTime: 60_000,
});

export const switchTenant = (tenantId: string): Promise<unknown> =>
  fetchJson('/auth/switch', { method: 'POST', json: { tenantId } });

export const createTenant = (name: string): Promise<{ tenantId: string }> =>
  fetchJson('/auth/tenants', { method: 'POST', json: { name } });
