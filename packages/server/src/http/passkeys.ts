// Routes of passkeys: a person's own, and the way in by one.
import { z } from 'zod';
import type { Access } from '../access/access.ts';
import { cookieValue } from '../access/credentials.ts';
import { deviceOf } from '../access/device.ts';
import { CEREMONY_MS, type PasskeyShown } from '../access/passkeys.ts';
import { SESSION, sessionCookie } from './auth.ts';
import { setCookie } from './cookie.ts';
import { json, route, type Route } from './route.ts';

const PERSON = { kind: 'person' } as const;
const INSTANT = z.iso.datetime();
const base64url = (most: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(/^[A-Za-z0-9_-]+$/);
/** 1,023 bytes (WebAuthn level 3, section 4). */
const CREDENTIAL_ID = base64url(1_364).min(16);
const ANSWER = {
  id: CREDENTIAL_ID,
  rawId: CREDENTIAL_ID,
  type: z.literal('public-key'),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).optional(),
  // read by nobody here
  clientExtensionResults: z.object({}).default({}),
};
const REGISTRATION = z.object({
  ...ANSWER,
  response: z.object({
    clientDataJSON: base64url(4_096),
    attestationObject: base64url(32_768),
    transports: z
      .array(z.enum(['ble', 'cable', 'hybrid', 'internal', 'nfc', 'smart-card', 'usb']))
      .max(10)
      .optional(),
  }),
});
const ASSERTION = z.object({
  ...ANSWER,
  response: z.object({
    clientDataJSON: base64url(4_096),
    authenticatorData: base64url(4_096),
    signature: base64url(4_096),
    userHandle: base64url(100).optional(),
  }),
});
const OPTIONS = z.object({ options: z.looseObject({ challenge: z.string() }).describe('For the browser, in JSON.') });
const PASSKEY = z.object({
  credentialId: z.string(),
  name: z.string(),
  createdAt: INSTANT,
  lastUsedAt: INSTANT.nullable(),
  isBackedUp: z.boolean().describe('Synchronised by its maker.'),
});

export interface PasskeyRoutesOptions {
  access: Pick<Access, 'passkeys'>;
  publicUrl: string;
}

export function passkeyRoutes({ access: { passkeys }, publicUrl }: PasskeyRoutesOptions): Route[] {
  const isTls = publicUrl.startsWith('https:');
  const cookieName = `${isTls ? '__Secure-' : ''}lumatrace_passkey`;
  const pendingCookie = (value: string, maxAgeSeconds: number): string =>
    setCookie(cookieName, value, { path: '/auth/passkeys', maxAgeSeconds, isTls });
  const asking = (options: object, sealed: string): Response =>
    json({ options }, 200, { 'set-cookie': pendingCookie(sealed, CEREMONY_MS / 1_000), 'cache-control': 'no-store' });
  const keptBy = (request: Request): string | undefined =>
    cookieValue(request.headers.get('cookie') ?? undefined, cookieName);

  return [
    route({
      method: 'GET',
      path: '/auth/passkeys',
      summary: 'One’s own passkeys.',
      tag: 'people',
      policy: PERSON,
      limit: 'api',
      answers: { 200: { description: 'The newest first.', schema: z.object({ data: z.array(PASSKEY) }) } },
      async handle({ principal }) {
        return json({ data: (await passkeys.list(principal)).map(answerOf) });
      },
    }),
    route({
      method: 'POST',
      path: '/auth/passkeys/options',
      summary: 'Begin to add a passkey: what the browser asks the authenticator for.',
      tag: 'people',
      policy: PERSON,
      limit: 'api',
      body: z.object({ password: z.string().min(1).max(1_024).describe('The current one.') }),
      maxBodyBytes: 8_192,
      answers: {
        200: { description: 'Good for five minutes, in this session and browser.', schema: OPTIONS },
        409: { description: 'There are twenty, or the address of this installation has no name.' },
      },
      async handle({ principal, body, source }) {
        const { options, sealed } = await passkeys.offer(principal, body.password, source);
        return asking(options, sealed);
      },
    }),
    route({
      method: 'POST',
      path: '/auth/passkeys',
      summary: 'Add the passkey that the authenticator made.',
      tag: 'people',
      policy: PERSON,
      limit: 'api',
      body: z.object({ name: z.string().trim().min(1).max(100), response: REGISTRATION }),
      maxBodyBytes: 65_536,
      answers: {
        201: { description: 'Added.', schema: PASSKEY },
        409: { description: 'It is there already, or there are twenty.' },
      },
      async handle({ principal, requestId, body, request }) {
        const made = { name: body.name, response: body.response as Parameters<typeof passkeys.add>[2]['response'] };
        const added = await passkeys.add(principal, requestId, made, keptBy(request));
        return json(answerOf(added), 201, { 'set-cookie': pendingCookie('', 0) });
      },
    }),
    route({
      method: 'DELETE',
      path: '/auth/passkeys/{credentialId}',
      summary: 'Remove a passkey of one’s own; sessions that it opened go on.',
      tag: 'people',
      policy: PERSON,
      limit: 'api',
      params: z.object({ credentialId: CREDENTIAL_ID }),
      answers: { 204: { description: 'Removed.' } },
      async handle({ principal, requestId, params: { credentialId } }) {
        await passkeys.remove(principal, requestId, credentialId);
        return new Response(null, { status: 204 });
      },
    }),
    route({
      method: 'POST',
      path: '/auth/passkeys/login/options',
      summary: 'Begin to log in by a passkey.',
      tag: 'people',
      policy: { kind: 'public', because: 'whoever logs in has no credentials yet' },
      limit: 'public',
      answers: {
        200: { description: 'Good for five minutes, in this browser, once.', schema: OPTIONS },
        409: { description: 'The address of this installation has no name.' },
      },
      async handle() {
        const { options, sealed } = await passkeys.ask();
        return asking(options, sealed);
      },
    }),
    route({
      method: 'POST',
      path: '/auth/passkeys/login',
      summary: 'Log in by a passkey; sets the session cookie.',
      tag: 'people',
      policy: { kind: 'public', because: 'whoever logs in has no credentials yet' },
      limit: 'login',
      body: z.object({ response: ASSERTION }),
      maxBodyBytes: 32_768,
      answers: {
        200: { description: 'Logged in.', schema: SESSION },
        401: { description: 'The passkey is not known, or its answer does not hold.' },
      },
      async handle({ body, source, requestId, request }) {
        const from = { source, requestId, device: deviceOf(request.headers.get('user-agent')) };
        const answer = body.response as Parameters<typeof passkeys.login>[0];
        const { user, mustChangePassword, ...session } = await passkeys.login(answer, keptBy(request), from);
        const response = json({ user, mustChangePassword });
        response.headers.append('set-cookie', pendingCookie('', 0));
        response.headers.append('set-cookie', sessionCookie(session, isTls));
        return response;
      },
    }),
  ];
}

function answerOf({ credentialId, name, createdAt, lastUsedAt, isBackedUp }: PasskeyShown) {
  return { credentialId, name, createdAt, lastUsedAt, isBackedUp };
}
