// Routes of API keys and the tenant's settings.
import { z } from 'zod';
import type { Access } from '../access/access.ts';
import { ENVIRONMENTS } from '../access/api-key-text.ts';
import type { ApiKeyShown } from '../access/api-keys.ts';
import { SCOPES } from '../access/principal.ts';
import { RETENTION_DAYS } from '../access/tenants.ts';
import { momentOf } from './moment.ts';
import { json, route, type Route } from './route.ts';

const SCOPE = z.enum(SCOPES);
const INSTANT = z.iso.datetime();
const KEY = z.object({
  keyId: z.uuid(),
  name: z.string(),
  prefix: z.string(),
  scopes: z.array(SCOPE),
  createdAt: INSTANT,
  createdBy: z.string(),
  expiresAt: INSTANT.nullable(),
  lastUsedAt: INSTANT.nullable(),
  revokedAt: INSTANT.nullable(),
  replacedBy: z.uuid().nullable().describe('The key that a rotation made in its place.'),
});
const SETTINGS = z.object({
  tenantId: z.uuid(),
  name: z.string(),
  retentionDays: z.number(),
  tracesPerDay: z.number(),
  requestsPerHour: z.number(),
});
const KEYS_ADMIN = { kind: 'scope', scope: 'keys:admin' } as const;

export interface KeyRoutesOptions {
  access: Pick<Access, 'apiKeys' | 'tenants'>;
}

export function keyRoutes({ access }: KeyRoutesOptions): Route[] {
  const { apiKeys, tenants } = access;
  return [
    route({
      method: 'GET',
      path: '/api/keys',
      summary: 'The API keys of the tenant, newest first; never the keys themselves.',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'api',
      answers: { 200: { description: 'The keys.', schema: z.object({ data: z.array(KEY) }) } },
      async handle({ principal }) {
        return json({ data: (await apiKeys.list(principal.tenantId)).map(keyAnswer) });
      },
    }),
    route({
      method: 'POST',
      path: '/api/keys',
      summary: 'Make an API key; it is shown in this answer and never again.',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'api',
      body: z.object({
        name: z.string().trim().min(1).max(200),
        scopes: z.array(SCOPE).min(1).max(SCOPES.length).describe('No more than the caller holds.'),
        environment: z.enum(ENVIRONMENTS).default('live'),
        expiresAt: z.iso.datetime({ offset: true }).nullish().describe('Absent: never.'),
      }),
      answers: { 201: { description: 'The key.', schema: KEY.extend({ apiKey: z.string() }) } },
      async handle({ principal, requestId, body }) {
        const { name, scopes, environment, expiresAt } = body;
        const key = await apiKeys.create(principal, requestId, {
          name,
          scopes,
          environment,
          expiresAt: typeof expiresAt === 'string' ? momentOf('expiresAt', expiresAt) : null,
        });
        return json({ ...keyAnswer(key), apiKey: key.apiKey }, 201);
      },
    }),
    route({
      method: 'POST',
      path: '/api/keys/{keyId}/rotate',
      summary:
        'Make a key in place of another, which works on for a while; it is shown in this answer and never again.',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'api',
      params: z.object({ keyId: z.uuid() }),
      body: z.object({
        overlapHours: z.number().min(0).max(720).default(24).describe('How long the old key works on.'),
      }),
      answers: {
        201: {
          description: 'The new key.',
          schema: KEY.extend({ apiKey: z.string(), previousEndsAt: INSTANT.describe('of the old key') }),
        },
        409: { description: 'The key was replaced or revoked, or has ended.' },
      },
      async handle({ principal, requestId, params, body }) {
        const overlapMs = body.overlapHours * 3_600_000;
        const { apiKey, previousEndsAt, ...key } = await apiKeys.rotate(principal, requestId, params.keyId, overlapMs);
        return json({ ...keyAnswer(key), apiKey, previousEndsAt }, 201);
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/keys/{keyId}',
      summary: 'Revoke an API key; it stops within five seconds everywhere.',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'api',
      params: z.object({ keyId: z.uuid() }),
      answers: { 204: { description: 'Revoked.' } },
      async handle({ principal, requestId, params }) {
        await apiKeys.revoke(principal, requestId, params.keyId);
        return new Response(null, { status: 204 });
      },
    }),
    route({
      method: 'GET',
      path: '/api/settings',
      summary: 'The tenant: name, retention, limits.',
      tag: 'settings',
      policy: { kind: 'authenticated' },
      limit: 'api',
      answers: { 200: { description: 'The settings.', schema: SETTINGS } },
      async handle({ principal }) {
        return json(await tenants.settings(principal.tenantId));
      },
    }),
    route({
      method: 'PUT',
      path: '/api/settings',
      summary: 'Change the name or the retention of the tenant; what is absent stays.',
      tag: 'settings',
      policy: KEYS_ADMIN,
      limit: 'api',
      body: z.object({
        name: z.string().trim().min(1).max(200).optional(),
        retentionDays: z.literal(RETENTION_DAYS).optional().describe('Holds for what arrives from now on.'),
      }),
      answers: { 200: { description: 'The settings as they are now.', schema: SETTINGS } },
      async handle({ principal, requestId, body }) {
        return json(await tenants.change(principal, requestId, body));
      },
    }),
  ];
}

function keyAnswer({
  keyId,
  name,
  prefix,
  scopes,
  createdAt,
  createdBy,
  expiresAt,
  lastUsedAt,
  revokedAt,
  replacedBy,
}: ApiKeyShown) {
  return { keyId, name, prefix, scopes, createdAt, createdBy, expiresAt, lastUsedAt, revokedAt, replacedBy };
}
