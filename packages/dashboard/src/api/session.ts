// Who is logged in, and what the installation knows about its own first steps.
import { queryOptions } from '@tanstack/react-query';
import { ApiError, fetchJson } from './client.ts';

export interface User {
  id: string;
  email: string;
  name: string;
  role: string;
  tenantId: string;
}

export interface Session {
  user: User;
  mustChangePassword: boolean;
}

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) => fetchJson<Session>('/auth/me', { signal }),
  staleTime: 60_000,
  retry: false,
});

/** For pages that somebody sees who is not logged in: null then, which is no reason to go elsewhere. */
export const anySessionQuery = queryOptions({
  queryKey: ['any-session'],
  queryFn: ({ signal }) =>
    fetchJson<Session>('/auth/me', { signal }).catch((error: unknown) => {
      if (error instanceof ApiError && error.isLoggedOut) return null;
      throw error;
    }),
});

export const login = (email: string, password: string): Promise<Session> =>
  fetchJson('/auth/login', { method: 'POST', json: { email, password } });

export const logout = (): Promise<unknown> => fetchJson('/auth/logout', { method: 'POST' });

export const changePassword = (currentPassword: string, newPassword: string): Promise<unknown> =>
  fetchJson('/auth/change-password', { method: 'POST', json: { currentPassword, newPassword } });

export interface Onboarding {
  hasSpans: boolean;
  otlpUrl: string;
  /** Path of the first-run file while it is still there. */
  firstRunFile: string | null;
}

export const onboardingQuery = queryOptions({
  queryKey: ['onboarding'],
  queryFn: ({ signal }) => fetchJson<Onboarding>('/api/onboarding', { signal }),
  staleTime: 5_000,
});

export const deleteFirstRunFile = (): Promise<unknown> =>
  fetchJson('/api/onboarding/first-run-file', { method: 'DELETE' });

/** Identity providers that their workspaces show to everybody who logs in. */
export const loginProvidersQuery = queryOptions({
  queryKey: ['login-providers'],
  queryFn: async ({ signal }) =>
    (await fetchJson<{ data: { providerId: string; name: string }[] }>('/auth/oidc/providers', { signal })).data,
  staleTime: 60_000,
});
