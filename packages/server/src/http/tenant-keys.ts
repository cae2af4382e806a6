// Routes of the tenant's data key: its versions, how far sealing again has come, and a new version.
import { z } from 'zod';
import { audit } from '../access/audit.ts';
import type { TenantRotation, TenantRotationOptions } from '../keys/tenant-rotation.ts';
import { json, route, type Route } from './route.ts';

const PATH = '/api/v1/tenant-keys';
const KEYS_ADMIN = { kind: 'scope', scope: 'keys:admin' } as const;
const INSTANT = z.iso.datetime();
const COUNT = z.number().int();
const VERSION = z.object({
  version: COUNT,
  state: z
    .enum(['coming', 'active', 'decrypt_only', 'destroyed'])
    .describe('known and not used yet; seals; only opens what it sealed; gone'),
  activatedAt: INSTANT.describe('seals from then on'),
  supersededAt: INSTANT.nullable(),
  destroyedAt: INSTANT.nullable(),
  seals: COUNT.describe('as far as the processes have told, a few times a minute'),
});
const PROGRESS = z.object({
  place: z.string().describe('table.column'),
  version: COUNT.describe('what everything in it is sealed with in the end'),
  rowsTotal: COUNT.describe('when this pass began'),
  rowsSeen: COUNT,
  rowsSealed: COUNT,
  done: z.boolean(),
});

/** The audit line of a rotation, in its transaction. */
export const auditKeyEvent =
  (actor: string, requestId: string): TenantRotationOptions['record'] =>
  (sql, { tenantId, action, versions }) =>
    audit(sql, {
      tenantId,
      actor,
      requestId,
      action,
      object: `tenant-key:${versions.join(',')}`,
      outcome: 'done',
    });

export interface TenantKeyRoutesOptions {
  rotation: TenantRotation;
  /** A version is on its way: what is sealed with older ones can be sealed again soon. */
  onRotated?: () => Promise<void>;
}

export function tenantKeyRoutes({ rotation, onRotated }: TenantKeyRoutesOptions): Route[] {
  return [
    route({
      method: 'GET',
      path: PATH,
      summary: 'Versions of the tenant’s data key, newest first, and how far sealing again has come; never the key',
      tag: 'keys',
      policy: { ...KEYS_ADMIN, or: ['audit:read'] },
      limit: 'v1',
      answers: {
        200: {
          description: 'The versions and the progress.',
          schema: z.object({ data: z.array(VERSION), reencryption: z.array(PROGRESS) }),
        },
      },
      async handle({ principal: { tenantId } }) {
        const versions = await rotation.list(tenantId);
        const progress = await rotation.progress(tenantId);
        return json({
          data: versions.map(({ activatedAt, supersededAt, destroyedAt, ...version }) => ({
            ...version,
            activatedAt: activatedAt.toISOString(),
            supersededAt: supersededAt?.toISOString() ?? null,
            destroyedAt: destroyedAt?.toISOString() ?? null,
          })),
          reencryption: progress.map(({ isDone, ...place }) => ({ ...place, done: isDone })),
        });
      },
    }),
    route({
      method: 'POST',
      path: PATH,
      summary:
        'Make a new version of the data key; it seals a minute later, and what older ones sealed is sealed again',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'v1',
      answers: {
        200: {
          description: 'The version that comes into use; the same while one is on its way.',
          schema: z.object({ version: COUNT }),
        },
      },
      async handle({ principal: { tenantId, subject }, requestId }) {
        const { version } = await rotation.rotate(tenantId, auditKeyEvent(subject, requestId));
        await onRotated?.();
        return json({ version });
      },
    }),
  ];
}
