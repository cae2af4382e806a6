// Identity providers of the workspace (OpenID Connect).
import { queryOptions } from '@tanstack/react-query';
import { fetchJson } from './client.ts';

export interface RoleRule {
  group: string;
  role: string;
}

export interface OidcProvider {
  providerId: string;
  name: string;
  issuer: string;
  clientId: string;
  hasClientSecret: boolean;
  groupsClaim: string;
  /** The first that holds decides. */
  roleByGroup: RoleRule[];
  /** Of people in none of the groups; null: they are not let in. */
  defaultRole: string | null;
  isListed: boolean;
  disabledAt: string | null;
  redirectUri: string;
}

export interface OidcSettings {
  name: string;
  groupsClaim: string;
  roleByGroup: RoleRule[];
  defaultRole: string | null;
  isListed: boolean;
}

export interface NewOidcProvider extends OidcSettings {
  issuer: string;
  clientId: string;
  clientSecret: string | null;
}

export interface OidcLook {
  finding: string;
  algorithms?: string[];
  keys?: number;
  usesIss?: boolean;
}

const PATH = '/api/oidc-providers';
const one = (providerId: string): string => `${PATH}/${encodeURIComponent(providerId)}`;

export const oidcProvidersQuery = queryOptions({
  queryKey: ['oidc-providers'],
  queryFn: async ({ signal }) => (await fetchJson<{ data: OidcProvider[] }>(PATH, { signal })).data,
});

export const addProvider = (provider: NewOidcProvider): Promise<{ providerId: string; redirectUri: string }> =>
  fetchJson(PATH, { method: 'POST', json: provider });

export const changeProvider = (
  providerId: string,
  change: Partial<OidcSettings & { clientSecret: string; isDisabled: boolean }>,
): Promise<unknown> => fetchJson(one(providerId), { method: 'PATCH', json: change });

export const removeProvider = (providerId: string): Promise<unknown> =>
  fetchJson(one(providerId), { method: 'DELETE' });

export const lookAtProvider = (issuer: string): Promise<OidcLook> =>
  fetchJson(`${PATH}/check`, { method: 'POST', json: { issuer } });

/** Where a login begins, for portals and bookmarks. */
export const loginAddress = ({ providerId, redirectUri }: OidcProvider): string =>
  `${new URL(redirectUri).origin}/auth/oidc/${providerId}/login`;

const FINDINGS: ReadonlyMap<string, string> = new Map([
  ['forbidden', 'Not allowed: a private address or plain HTTP must stand in LUMATRACE_OIDC_ALLOW.'],
  ['unreachable', 'It could not be reached.'],
  ['no-discovery', 'There is no discovery document at this address.'],
  ['other-issuer', 'Its discovery document names another issuer: write it exactly as it stands there.'],
  ['no-code', 'It does not offer the authorization code flow.'],
  ['no-signature', 'It signs in no way that can be checked.'],
  ['no-keys', 'It publishes no keys.'],
]);

/** For people. */
export const findingInWords = ({ finding, keys = 0, algorithms = [] }: OidcLook): string =>
  finding === 'works'
    ? `It answers, signs with ${algorithms.join(', ')} and publishes ${keys} ${keys === 1 ? 'key' : 'keys'}.`
    : (FINDINGS.get(finding) ?? finding);
