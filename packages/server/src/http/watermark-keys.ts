// Routes of the tenant's watermark key: its versions, a new one, and an old one that shall read no more.
import { z } from 'zod';
import { audit } from '../access/audit.ts';
import { KeyError } from '../keys/kek.ts';
import type { WatermarkKeys } from '../keys/watermark-keys.ts';
import { writeEntry } from '../transparency/entry.ts';
import { Problem } from './errors.ts';
import { json, route, type Route } from './route.ts';

const PATH = '/api/v1/photos/watermark-keys';
const KEYS_ADMIN = { kind: 'scope', scope: 'keys:admin' } as const;
const VERSION = z.object({
  version: z.number().int(),
  state: z.enum(['active', 'reading', 'retired']).describe('marks and reads; only reads; neither'),
  activatedAt: z.iso.datetime(),
  retiredAt: z.iso.datetime().nullable(),
});

export function watermarkKeyRoutes({ watermarkKeys }: { watermarkKeys: WatermarkKeys }): Route[] {
  return [
    route({
      method: 'GET',
      path: PATH,
      summary: 'Versions of the tenant’s watermark key, newest first; never the key itself',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'v1',
      answers: { 200: { description: 'The versions.', schema: z.object({ data: z.array(VERSION) }) } },
      async handle({ principal }) {
        const rows = await watermarkKeys.list(principal.tenantId);
        return json({
          data: rows.map(({ version, state, activatedAt, retiredAt }) => ({
            version,
            state,
            activatedAt: activatedAt.toISOString(),
            retiredAt: retiredAt?.toISOString() ?? null,
          })),
        });
      },
    }),
    route({
      method: 'POST',
      path: PATH,
      summary: 'Mark with a new version from now on; older ones still read',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'v1',
      answers: { 200: { description: 'The new version.', schema: z.object({ version: z.number().int() }) } },
      async handle({ principal: { tenantId, subject: actor }, requestId }) {
        const version = await watermarkKeys.rotate(tenantId, async (sql, made) => {
          const action = 'watermark-key.rotate';
          const object = `watermark-key:${made}`;
          await audit(sql, { tenantId, actor, requestId, action, object, outcome: 'done' });
          await writeEntry(sql, { action, tenantId, object, sha256: {} });
        });
        return json({ version });
      },
    }),
    route({
      method: 'DELETE',
      path: `${PATH}/{version}`,
      summary: 'Let a version that only reads read no more: what it marked is not found from then on',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'v1',
      params: z.object({ version: z.coerce.number().int().min(1).max(1_000_000) }),
      answers: {
        200: { description: 'Retired.', schema: z.object({ version: z.number().int() }) },
        404: { description: 'There is no such version that only reads.' },
      },
      async handle({ principal: { tenantId, subject: actor }, params: { version }, requestId }) {
        try {
          await watermarkKeys.retire(tenantId, version, async (sql) => {
            const action = 'watermark-key.retire';
            const object = `watermark-key:${version}`;
            await audit(sql, { tenantId, actor, requestId, action, object, outcome: 'done' });
            await writeEntry(sql, { action, tenantId, object, sha256: {} });
          });
        } catch (error) {
          if (!(error instanceof KeyError) || error.code !== 'KEY_UNKNOWN_VERSION') throw error;
          throw new Problem('NOT_FOUND', 'There is no version with this number that only reads.', { cause: error });
        }
        return json({ version });
      },
    }),
  ];
}
