// Routes of service accounts: made, rotated and disabled by whoever may make keys.
import { z } from 'zod';
import type { Access } from '../access/access.ts';
import type { ServiceAccountShown } from '../access/machines.ts';
import { SCOPES } from '../access/principal.ts';
import { momentOf } from './moment.ts';
import { json, route, type Route } from './route.ts';

const SCOPE = z.enum(SCOPES);
const INSTANT = z.iso.datetime();
const ACCOUNT = z.object({
  serviceAccountId: z.uuid(),
  username: z.string().describe('`username` of `POST /api/v1/auth/login`, `client_id` of `POST /oauth/token`.'),
  name: z.string().nullable().describe('Absent for the one of the first start.'),
  scopes: z.array(SCOPE),
  createdAt: INSTANT,
  createdBy: z.string().nullable(),
  expiresAt: INSTANT.nullable(),
  disabledAt: INSTANT.nullable(),
  rotatedAt: INSTANT.nullable(),
  lastUsedAt: INSTANT.nullable().describe('To ten minutes.'),
  previousUntil: INSTANT.nullable().describe('Until then the password before the last rotation works too.'),
});
const WITH_PASSWORD = ACCOUNT.extend({ password: z.string().describe('In this answer and nowhere else.') });
const PARAMS = z.object({ serviceAccountId: z.uuid() });
const KEYS_ADMIN = { kind: 'scope', scope: 'keys:admin' } as const;

export function serviceAccountRoutes({ access: { machines } }: { access: Pick<Access, 'machines'> }): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/service-accounts',
      summary: 'The service accounts of the tenant, newest first; never their passwords.',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'api',
      answers: { 200: { description: 'At most 1,000.', schema: z.object({ data: z.array(ACCOUNT) }) } },
      async handle({ principal }) {
        return json({ data: (await machines.list(principal.tenantId)).map(answerOf) });
      },
    }),
    route({
      method: 'POST',
      path: '/api/service-accounts',
      summary: 'Make a service account; its password is shown in this answer and never again.',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'api',
      body: z.object({
        name: z.string().trim().min(1).max(200),
        scopes: z.array(SCOPE).min(1).max(SCOPES.length).describe('No more than the caller holds.'),
        expiresAt: z.iso.datetime({ offset: true }).nullish().describe('Absent: never.'),
      }),
      answers: {
        201: { description: 'The account.', schema: WITH_PASSWORD },
        409: { description: 'There are too many.' },
      },
      async handle({ principal, requestId, body: { name, scopes, expiresAt } }) {
        const { password, ...account } = await machines.create(principal, requestId, {
          name,
          scopes,
          expiresAt: typeof expiresAt === 'string' ? momentOf('expiresAt', expiresAt) : null,
        });
        return json({ ...answerOf(account), password }, 201);
      },
    }),
    route({
      method: 'POST',
      path: '/api/service-accounts/{serviceAccountId}/rotate',
      summary: 'Another password; the one before works on for a while. What had an end gets as long again.',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'api',
      params: PARAMS,
      body: z.object({
        overlapHours: z.number().min(0).max(720).default(24).describe('How long the password before works on.'),
      }),
      answers: {
        201: { description: 'The account.', schema: WITH_PASSWORD },
        409: { description: 'The account is disabled or has ended.' },
      },
      async handle({ principal, requestId, params: { serviceAccountId }, body }) {
        const overlapMs = body.overlapHours * 3_600_000;
        const { password, ...account } = await machines.rotate(principal, requestId, serviceAccountId, overlapMs);
        return json({ ...answerOf(account), password }, 201);
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/service-accounts/{serviceAccountId}',
      summary: 'Disable a service account for good; its tokens stop within five seconds everywhere.',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'api',
      params: PARAMS,
      answers: { 204: { description: 'Disabled.' } },
      async handle({ principal, requestId, params: { serviceAccountId } }) {
        await machines.disable(principal, requestId, serviceAccountId);
        return new Response(null, { status: 204 });
      },
    }),
  ];
}

/** Member by member: what a row gets later is not told by itself. */
function answerOf(account: ServiceAccountShown) {
  const { serviceAccountId, username, name, scopes, createdAt, createdBy } = account;
  const { expiresAt, disabledAt, rotatedAt, lastUsedAt, previousUntil } = account;
  return {
    serviceAccountId,
    username,
    name,
    scopes,
    createdAt,
    createdBy,
    expiresAt,
    disabledAt,
    rotatedAt,
    lastUsedAt,
    previousUntil,
  };
}
