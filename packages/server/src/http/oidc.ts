// Routes of single sign-on: there and back for browsers, and a tenant's identity providers.
import { z } from 'zod';
import type { Access } from '../access/access.ts';
import { cookieValue } from '../access/credentials.ts';
import { deviceOf } from '../access/device.ts';
import {
  LOGIN_TIME_MS,
  OidcRefused,
  PROVIDER_ROLES,
  redirectUri,
  type OidcFailure,
  type OidcProviderRow,
} from '../access/oidc.ts';
import { sessionCookie } from './auth.ts';
import { setCookie } from './cookie.ts';
import { json, route, type Policy, type Route } from './route.ts';

const READ: Policy = { kind: 'person', roles: ['owner', 'admin'] };
const WRITE: Policy = { kind: 'person', roles: ['owner'] };
const PROVIDER_PARAMS = z.object({ providerId: z.uuid() });
const ROLE = z.enum(PROVIDER_ROLES as [(typeof PROVIDER_ROLES)[number], ...typeof PROVIDER_ROLES]);
const NAME = z.string().trim().min(1).max(100);
const SECRET = z.string().min(1).max(1_000).describe('Write-only.');
const GROUPS_CLAIM = z.string().min(1).max(100);
const ROLE_BY_GROUP = z
  .array(z.object({ group: z.string().min(1).max(256), role: ROLE }))
  .max(100)
  .describe('The first that holds decides; looked at anew at each login.');
const ISSUER = z
  .url({ protocol: /^https?$/ })
  .min(8)
  .max(500)
  .describe('As the discovery document names it; plain HTTP where LUMATRACE_OIDC_ALLOW says so.');
const LOOK = z.discriminatedUnion('finding', [
  z.object({
    finding: z.literal('works'),
    authorizationEndpoint: z.url(),
    algorithms: z.array(z.string()),
    keys: z.int(),
    usesIss: z.boolean().describe('Answers name their issuer (RFC 9207).'),
  }),
  z.object({
    finding: z.enum(['forbidden', 'unreachable', 'no-discovery', 'other-issuer', 'no-code', 'no-signature', 'no-keys']),
  }),
]);
const SETTINGS = z.object({
  name: NAME,
  issuer: ISSUER,
  clientId: z.string().min(1).max(400),
  clientSecret: SECRET.nullable().default(null),
  groupsClaim: GROUPS_CLAIM.default('groups'),
  roleByGroup: ROLE_BY_GROUP.default([]),
  defaultRole: ROLE.nullable().default(null).describe('Of people in none of the groups; null: they are not let in.'),
  isListed: z.boolean().default(false).describe('On the login page, for everybody.'),
});
const CHANGE = z.object({
  name: NAME.optional(),
  clientSecret: SECRET.optional(),
  groupsClaim: GROUPS_CLAIM.optional(),
  roleByGroup: ROLE_BY_GROUP.optional(),
  defaultRole: ROLE.nullable().optional(),
  isListed: z.boolean().optional(),
  isDisabled: z.boolean().optional().describe('Sessions that it opened end.'),
});
const PROVIDER = z.object({
  providerId: z.uuid(),
  name: z.string(),
  issuer: z.string(),
  clientId: z.string(),
  hasClientSecret: z.boolean(),
  groupsClaim: z.string(),
  roleByGroup: z.array(z.object({ group: z.string(), role: z.string() })),
  defaultRole: z.string().nullable(),
  isListed: z.boolean(),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  disabledAt: z.iso.datetime().nullable(),
  redirectUri: z.url().describe('To be named at the provider.'),
});

export interface OidcRoutesOptions {
  access: Pick<Access, 'oidc'>;
  publicUrl: string;
  /** Told why a provider's answer does not hold: for operators, never for a page. */
  onFailure(failure: { providerId: string; reason: OidcFailure; cause: unknown }): void;
}

export function oidcRoutes({ access: { oidc }, publicUrl, onFailure }: OidcRoutesOptions): Route[] {
  const isTls = publicUrl.startsWith('https:');
  const cookieName = `${isTls ? '__Secure-' : ''}lumatrace_oidc`;
  const pendingCookie = (value: string, maxAgeSeconds: number): string =>
    setCookie(cookieName, value, { path: '/auth/oidc', maxAgeSeconds, isTls });

  /** There is a person in front of a browser: they are led to a page that says it in words. */
  async function leading(providerId: string, work: () => Promise<Response>): Promise<Response> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof OidcRefused)) throw error;
      const { reason, cause } = error;
      onFailure({ providerId, reason, cause });
      return redirect(`/login?sso=${reason}`, [pendingCookie('', 0)]);
    }
  }

  return [
    route({
      method: 'GET',
      path: '/auth/oidc/providers',
      summary: 'Identity providers that their tenants show on the login page.',
      tag: 'people',
      policy: { kind: 'public', because: 'whoever logs in has no credentials yet; their tenants want them shown' },
      limit: 'public',
      answers: {
        200: {
          description: 'At most 50, by name.',
          schema: z.object({ data: z.array(z.object({ providerId: z.uuid(), name: z.string() })) }),
        },
      },
      async handle() {
        return json({ data: await oidc.listed() });
      },
    }),
    route({
      method: 'GET',
      path: '/auth/oidc/{providerId}/login',
      summary: 'Go to an identity provider to log in there.',
      tag: 'people',
      policy: { kind: 'public', because: 'whoever logs in has no credentials yet' },
      limit: 'public',
      params: PROVIDER_PARAMS,
      query: z.object({ returnTo: z.string().max(500).default('/') }),
      answers: { 303: { description: 'To the provider, or to the login page with the reason why not.' } },
      handle: ({ params: { providerId }, query, request }) =>
        leading(providerId, async () => {
          // a page elsewhere must not log somebody in as somebody of its choice: they press the button themselves
          const site = request.headers.get('sec-fetch-site');
          if (site !== null && site !== 'same-origin' && site !== 'none')
            return redirect(`/login?provider=${providerId}`, []);
          const { url, sealed } = await oidc.begin(providerId, query.returnTo);
          return redirect(url, [pendingCookie(sealed, LOGIN_TIME_MS / 1_000)]);
        }),
    }),
    route({
      method: 'GET',
      path: '/auth/oidc/{providerId}/callback',
      summary: 'Where an identity provider sends people back to; sets the session cookie.',
      tag: 'people',
      policy: { kind: 'public', because: 'what the provider signed, and what the browser kept, are the credentials' },
      limit: 'public',
      params: PROVIDER_PARAMS,
      answers: { 303: { description: 'Logged in, or to the login page with the reason why not.' } },
      handle: ({ params: { providerId }, request, requestId }) =>
        leading(providerId, async () => {
          const device = deviceOf(request.headers.get('user-agent'));
          const sealed = cookieValue(request.headers.get('cookie') ?? undefined, cookieName);
          const { search } = new URL(request.url);
          const { returnTo, ...session } = await oidc.finish(providerId, search, sealed, { requestId, device });
          return redirect(returnTo, [pendingCookie('', 0), sessionCookie(session, isTls)]);
        }),
    }),
    route({
      method: 'GET',
      path: '/api/oidc-providers',
      summary: 'The identity providers of the tenant.',
      tag: 'settings',
      policy: READ,
      limit: 'api',
      answers: { 200: { description: 'The providers.', schema: z.object({ data: z.array(PROVIDER) }) } },
      async handle({ principal }) {
        const rows = await oidc.list(principal.tenantId);
        return json({ data: rows.map((row) => providerAnswer(row, publicUrl)) });
      },
    }),
    route({
      method: 'POST',
      path: '/api/oidc-providers',
      summary: 'Add an identity provider (OpenID Connect).',
      tag: 'settings',
      policy: WRITE,
      limit: 'api',
      body: SETTINGS,
      answers: {
        201: { description: 'Added.', schema: z.object({ providerId: z.uuid(), redirectUri: z.url() }) },
      },
      async handle({ principal, requestId, body }) {
        const { providerId } = await oidc.create(principal, requestId, body);
        return json({ providerId, redirectUri: redirectUri(publicUrl, providerId) }, 201);
      },
    }),
    route({
      method: 'POST',
      path: '/api/oidc-providers/check',
      summary: 'Look at an identity provider before it is added: its discovery document and its keys.',
      tag: 'settings',
      policy: WRITE,
      limit: 'api',
      body: z.object({ issuer: ISSUER }),
      answers: { 200: { description: 'What was found; nothing is kept.', schema: LOOK } },
      async handle({ body }) {
        return json(await oidc.look(body.issuer));
      },
    }),
    route({
      method: 'PATCH',
      path: '/api/oidc-providers/{providerId}',
      summary: 'Change an identity provider; what is absent stays. Issuer and client stay: add another one for those.',
      tag: 'settings',
      policy: WRITE,
      limit: 'api',
      params: PROVIDER_PARAMS,
      body: CHANGE,
      answers: { 204: { description: 'Changed.' } },
      async handle({ principal, requestId, params, body }) {
        await oidc.change(principal, requestId, params.providerId, body);
        return new Response(null, { status: 204 });
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/oidc-providers/{providerId}',
      summary: 'Remove an identity provider; sessions that it opened end at once.',
      tag: 'settings',
      policy: WRITE,
      limit: 'api',
      params: PROVIDER_PARAMS,
      answers: { 204: { description: 'Removed.' } },
      async handle({ principal, requestId, params }) {
        await oidc.remove(principal, requestId, params.providerId);
        return new Response(null, { status: 204 });
      },
    }),
    route({
      method: 'POST',
      path: '/api/oidc-providers/{providerId}/readmissions',
      summary:
        'Let somebody in again whom the provider brought and who was removed; their groups decide at the next login.',
      tag: 'settings',
      policy: WRITE,
      limit: 'api',
      params: PROVIDER_PARAMS,
      body: z.object({ accountId: z.uuid() }),
      answers: { 204: { description: 'They may log in again.' } },
      async handle({ principal, requestId, params, body }) {
        await oidc.readmit(principal, requestId, params.providerId, body.accountId);
        return new Response(null, { status: 204 });
      },
    }),
  ];
}

function providerAnswer(row: OidcProviderRow, publicUrl: string): z.input<typeof PROVIDER> {
  const { providerId, name, issuer, clientId, groupsClaim, roleByGroup, defaultRole, isListed, createdBy } = row;
  return {
    providerId,
    name,
    issuer,
    clientId,
    hasClientSecret: row.clientSecret !== null,
    groupsClaim,
    roleByGroup,
    defaultRole,
    isListed,
    createdAt: row.createdAt.toISOString(),
    createdBy,
    disabledAt: row.disabledAt?.toISOString() ?? null,
    redirectUri: redirectUri(publicUrl, providerId),
  };
}

function redirect(location: string, cookies: readonly string[]): Response {
  const headers = new Headers({ location, 'cache-control': 'no-store' });
  for (const cookie of cookies) headers.append('set-cookie', cookie);
  return new Response(null, { status: 303, headers });
}
