// The route of the inventory of keys: what a rotation calendar is drawn from.
import { z } from 'zod';
import { KEY_KINDS, KEY_STATES, type KeyInventory } from '../keys/key-inventory.ts';
import { json, route, type Route } from './route.ts';

const INSTANT = z.iso.datetime();
const KEY = z.object({
  kind: z
    .enum(KEY_KINDS)
    .describe('c2pa-brought is the operator’s own; secret names a purpose of the installation and its version'),
  id: z.string().describe('unique within its kind: a kid, a version, or name:version'),
  owner: z.enum(['installation', 'tenant']),
  createdAt: INSTANT,
  rotateAt: INSTANT.nullable().describe('when the next one takes over by itself; null: by hand only'),
  endsAt: INSTANT.nullable().describe('after it the key does nothing new; null: nothing ends it'),
  revokedAt: INSTANT.nullable(),
  state: z
    .enum(KEY_STATES)
    .describe('active signs or seals; due is active past its rotation; verifying only checks or opens what is old'),
});

export function keyInventoryRoutes({ keyInventory }: { keyInventory: KeyInventory }): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/v1/key-inventory',
      summary: 'Every key of the installation and of the tenant with its dates and state; never the key itself',
      tag: 'keys',
      policy: { kind: 'scope', scope: 'keys:admin', or: ['audit:read'] },
      limit: 'v1',
      answers: { 200: { description: 'By kind, the newest first.', schema: z.object({ data: z.array(KEY) }) } },
      async handle({ principal }) {
        const keys = await keyInventory.list(principal.tenantId);
        return json({
          data: keys.map((key) => ({
            ...key,
            createdAt: key.createdAt.toISOString(),
            rotateAt: key.rotateAt?.toISOString() ?? null,
            endsAt: key.endsAt?.toISOString() ?? null,
            revokedAt: key.revokedAt?.toISOString() ?? null,
          })),
        });
      },
    }),
  ];
}
