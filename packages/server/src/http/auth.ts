// Routes of logging in and out: people by session cookie, machines by token.
import { z } from 'zod';
import type { Access } from '../access/access.ts';
import { deviceOf } from '../access/device.ts';
import { sessionCookieName } from '../access/credentials.ts';
import { ROLES } from '../access/principal.ts';
import { SESSION_LIFE_MS, type OpenedSession } from '../access/sessions.ts';
import { setCookie } from './cookie.ts';
import { json, route, type Route } from './route.ts';

const PASSWORD = z.string().min(1).max(1_024);
const USER = z.object({
  id: z.uuid(),
  email: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  tenantId: z.uuid(),
});
export const SESSION = z.object({ user: USER, mustChangePassword: z.boolean() });

const TENANT = z.object({ tenantId: z.uuid(), name: z.string(), role: z.enum(ROLES), isCurrent: z.boolean() });
/** 256 random bits in base64url; anything else is answered as one that is not known. */
const TOKEN = z.string().min(1).max(100);

export interface AuthRoutesOptions {
  access: Pick<Access, 'people' | 'machines' | 'tokens' | 'signingKeys' | 'ownTenants' | 'invitations'>;
  /** Whether people reach us by https: the cookie is then Secure. */
  isTls: boolean;
}

export function authRoutes({ access, isTls }: AuthRoutesOptions): Route[] {
  const { people, machines, tokens, signingKeys, ownTenants, invitations } = access;
  const withCookie = (session: OpenedSession): Record<string, string> => ({
    'set-cookie': sessionCookie(session, isTls),
  });
  return [
    route({
      method: 'POST',
      path: '/auth/login',
      summary: 'Log in as a person; sets the session cookie.',
      tag: 'people',
      policy: { kind: 'public', because: 'whoever logs in has no credentials yet' },
      limit: 'login',
      body: z.object({ email: z.string().min(3).max(254), password: PASSWORD }),
      maxBodyBytes: 8_192,
      answers: {
        200: { description: 'Logged in.', schema: SESSION },
        401: { description: 'The e-mail address or the password is not right.' },
      },
      async handle({ body, source, requestId, request }) {
        const device = deviceOf(request.headers.get('user-agent'));
        const { user, mustChangePassword, ...session } = await people.login(body, source, requestId, device);
        return json({ user, mustChangePassword }, 200, withCookie(session));
      },
    }),
    route({
      method: 'GET',
      path: '/auth/me',
      summary: 'Who is logged in.',
      tag: 'people',
      policy: { kind: 'person' },
      limit: 'api',
      answers: { 200: { description: 'The person behind the session.', schema: SESSION } },
      async handle({ principal }) {
        return json({
          user: await people.user(principal),
          mustChangePassword: principal.mustChangePassword ?? false,
        });
      },
    }),
    route({
      method: 'POST',
      path: '/auth/change-password',
      summary: 'Change the password; ends every other session of the account.',
      tag: 'people',
      policy: { kind: 'person' },
      limit: 'api',
      body: z.object({ currentPassword: PASSWORD, newPassword: PASSWORD }),
      maxBodyBytes: 8_192,
      answers: { 200: { description: 'Changed; a new session cookie is set.', schema: SESSION } },
      async handle({ principal, body, source, requestId, request }) {
        const device = deviceOf(request.headers.get('user-agent'));
        const session = await people.changePassword(principal, body, source, requestId, device);
        return json({ user: await people.user(principal), mustChangePassword: false }, 200, withCookie(session));
      },
    }),
    route({
      method: 'POST',
      path: '/auth/refresh',
      summary: 'Exchange the session for a new one; its absolute end stays.',
      tag: 'people',
      policy: { kind: 'person' },
      limit: 'api',
      answers: { 200: { description: 'A new session cookie is set.', schema: SESSION } },
      async handle({ principal, requestId, request }) {
        const session = await people.refresh(principal, requestId, deviceOf(request.headers.get('user-agent')));
        return json({ user: await people.user(principal), mustChangePassword: false }, 200, withCookie(session));
      },
    }),
    route({
      method: 'GET',
      path: '/auth/tenants',
      summary: 'The tenants that you belong to, by name.',
      tag: 'people',
      policy: { kind: 'person' },
      limit: 'api',
      answers: { 200: { description: 'The tenants.', schema: z.object({ data: z.array(TENANT) }) } },
      async handle({ principal }) {
        const data = await ownTenants.list(principal);
        return json({ data: data.map((row) => ({ ...row, isCurrent: row.tenantId === principal.tenantId })) });
      },
    }),
    route({
      method: 'POST',
      path: '/auth/tenants',
      summary: 'Make a new tenant with you as its owner; your session stays where it is.',
      tag: 'people',
      policy: { kind: 'person', roles: ['owner'] },
      limit: 'api',
      body: z.object({ name: z.string().trim().min(1).max(200) }),
      maxBodyBytes: 4_096,
      answers: { 201: { description: 'The tenant.', schema: z.object({ tenantId: z.uuid() }) } },
      async handle({ principal, requestId, body }) {
        return json(await ownTenants.create(principal, requestId, body.name), 201);
      },
    }),
    route({
      method: 'POST',
      path: '/auth/switch',
      summary: 'Exchange the session for one in another tenant of yours; its absolute end stays.',
      tag: 'people',
      policy: { kind: 'person' },
      limit: 'api',
      body: z.object({ tenantId: z.uuid() }),
      maxBodyBytes: 4_096,
      answers: {
        204: { description: 'A new session cookie is set.' },
        404: { description: 'None of your tenants.' },
      },
      async handle({ principal, requestId, body, request }) {
        const device = deviceOf(request.headers.get('user-agent'));
        const session = await ownTenants.switchTo(principal, requestId, body.tenantId, device);
        return new Response(null, { status: 204, headers: withCookie(session) });
      },
    }),
    route({
      method: 'POST',
      path: '/auth/invitations/look',
      summary: 'What an invitation is for.',
      tag: 'people',
      policy: { kind: 'public', because: 'whoever was invited has no account yet; the link is the credential' },
      limit: 'public',
      body: z.object({ token: TOKEN }),
      maxBodyBytes: 4_096,
      answers: {
        200: {
          description: 'The invitation.',
          schema: z.object({
            tenantName: z.string(),
            email: z.string(),
            role: z.enum(ROLES),
            expiresAt: z.iso.datetime(),
          }),
        },
        404: { description: 'Not known, used, revoked, or ended.' },
      },
      async handle({ body }) {
        return json(await invitations.look(body.token));
      },
    }),
    route({
      method: 'POST',
      path: '/auth/invitations/accept',
      summary: 'Accept an invitation as somebody new: makes the account and logs in.',
      tag: 'people',
      policy: { kind: 'public', because: 'whoever was invited has no account yet; the link is the credential' },
      limit: 'public',
      body: z.object({ token: TOKEN, name: z.string().trim().min(1).max(200), password: PASSWORD }),
      maxBodyBytes: 8_192,
      answers: {
        200: { description: 'Logged in; the session cookie is set.', schema: SESSION },
        404: { description: 'Not known, used, revoked, or ended.' },
        409: { description: 'There is an account with this address: log in with it and join.' },
      },
      async handle({ body: { token, ...person }, requestId, request }) {
        const device = deviceOf(request.headers.get('user-agent'));
        const { user, mustChangePassword, ...session } = await invitations.accept(token, person, requestId, device);
        return json({ user, mustChangePassword }, 200, withCookie(session));
      },
    }),
    route({
      method: 'POST',
      path: '/auth/invitations/join',
      summary: 'Accept an invitation with the account that is logged in; switch to the tenant afterwards.',
      tag: 'people',
      policy: { kind: 'person' },
      limit: 'api',
      body: z.object({ token: TOKEN }),
      maxBodyBytes: 4_096,
      answers: {
        200: { description: 'The tenant that you belong to now.', schema: z.object({ tenantId: z.uuid() }) },
        403: { description: 'The invitation is for another address.' },
        404: { description: 'Not known, used, revoked, or ended.' },
      },
      async handle({ principal, body, requestId }) {
        return json(await invitations.join(principal, body.token, requestId));
      },
    }),
    route({
      method: 'POST',
      path: '/auth/logout',
      summary: 'End the session.',
      tag: 'people',
      policy: { kind: 'person' },
      limit: 'none',
      answers: { 200: { description: 'Logged out.', schema: z.object({ success: z.literal(true) }) } },
      async handle({ principal, requestId }) {
        await people.logout(principal, requestId);
        return json({ success: true }, 200, {
          'set-cookie': sessionCookie({ secret: '', expiresAt: new Date(0) }, isTls),
        });
      },
    }),
    route({
      method: 'POST',
      path: '/api/v1/auth/login',
      summary: 'Exchange the name and password of a service account for a token of 15 minutes.',
      tag: 'machines',
      policy: { kind: 'public', because: 'whoever logs in has no credentials yet' },
      limit: 'login',
      body: z.object({ username: z.string().min(1).max(100), password: PASSWORD }),
      maxBodyBytes: 8_192,
      answers: {
        200: {
          description: 'A token (JWT, RS256); it cannot be refreshed.',
          schema: z.object({ token: z.string(), expires_in: z.number() }),
        },
        401: { description: 'The username or the password is not right.' },
      },
      async handle({ body, source, requestId }) {
        const { token, expiresInSeconds } = await machines.login(body, source, requestId);
        return json({ token, expires_in: expiresInSeconds });
      },
    }),
    route({
      method: 'POST',
      path: '/api/v1/auth/logout',
      summary: 'Revoke the token that this request carries.',
      tag: 'machines',
      policy: { kind: 'authenticated' },
      limit: 'v1',
      answers: {
        200: { description: 'The token is not accepted any more.', schema: z.object({ success: z.literal(true) }) },
      },
      async handle({ principal, requestId }) {
        await tokens.revoke(principal, requestId);
        return json({ success: true });
      },
    }),
    route({
      method: 'GET',
      path: '/.well-known/jwks.json',
      summary: 'The public keys that verify tokens (RFC 7517).',
      tag: 'machines',
      policy: { kind: 'public', because: 'verifying needs the public keys' },
      limit: 'none',
      answers: {
        200: {
          description: 'The key set.',
          schema: z.object({ keys: z.array(z.looseObject({ kid: z.string(), kty: z.string() })) }),
        },
      },
      async handle() {
        const { jwks } = await signingKeys.current();
        return json(jwks, 200, { 'cache-control': 'public, max-age=300' });
      },
    }),
  ];
}

/** The cookie of a session; an end in the past removes it. */
export function sessionCookie({ secret, expiresAt }: OpenedSession, isTls: boolean): string {
  const maxAgeSeconds = Math.floor((expiresAt.getTime() - Date.now()) / 1_000);
  const age = Math.max(0, Math.min(maxAgeSeconds, SESSION_LIFE_MS / 1_000));
  return setCookie(sessionCookieName(isTls), secret, { path: '/', maxAgeSeconds: age, isTls });
}
