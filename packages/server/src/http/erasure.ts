// Routes of erasing a tenant: the owner begins it, and whoever was given its id reads how far it is and the certificate.
import { z } from 'zod';
import type { Erasure, Erasures } from '../access/erasure.ts';
import { Problem } from './errors.ts';
import { json, route, type Route } from './route.ts';

const ERASURE = z.object({
  erasureId: z.uuid(),
  tenantId: z.uuid(),
  state: z.enum(['erasing', 'erased']).describe('rows are being removed; nothing is left'),
  keysDestroyedAt: z.iso.datetime().describe('from then on nothing of the tenant opens'),
  keyVersionsDestroyed: z.array(z.number().int()),
  rowsRemoved: z.record(z.string(), z.number().int()).describe('table → rows'),
  certificate: z.string().nullable().describe('signed; `./lumatrace tenants verify FILE` checks it offline'),
});

export function erasureRoutes({ erasures }: { erasures: Erasures }): Route[] {
  return [
    route({
      method: 'DELETE',
      path: '/api/tenants/{tenantId}',
      summary: 'Erase the tenant: its keys at once and for ever, its rows within minutes. There is no way back.',
      tag: 'settings',
      policy: { kind: 'person', roles: ['owner'] },
      limit: 'api',
      params: z.object({ tenantId: z.uuid() }),
      body: z.object({ name: z.string().max(200).describe('The name of the tenant, to confirm.') }),
      answers: {
        202: {
          description: 'The keys are destroyed. Keep the erasureId: nobody can log in any more.',
          schema: ERASURE,
        },
        404: { description: 'It is not the tenant of the session.' },
      },
      async handle({ principal, params: { tenantId }, body: { name }, requestId }) {
        if (tenantId !== principal.tenantId) throw new Problem('NOT_FOUND', 'There is no such tenant.');
        return json(shown(await erasures.begin(tenantId, { actor: principal.subject, requestId, name })), 202);
      },
    }),
    route({
      method: 'GET',
      path: '/api/erasures/{erasureId}',
      summary: 'How far the erasure of a tenant is, and its certificate when nothing is left',
      tag: 'settings',
      policy: {
        kind: 'public',
        because:
          'nobody can log in to an erased tenant: whoever holds the random id of the erasure reads its certificate',
      },
      limit: 'public',
      params: z.object({ erasureId: z.uuid() }),
      answers: {
        200: { description: 'The erasure.', schema: ERASURE },
        404: { description: 'There is no such erasure.' },
      },
      async handle({ params: { erasureId } }) {
        const erasure = await erasures.find({ erasureId });
        if (erasure === undefined) throw new Problem('NOT_FOUND', 'There is no such erasure.');
        return json(shown(erasure));
      },
    }),
  ];
}

function shown({ erasureId, tenantId, keysDestroyedAt, keyVersions, removed, certificate }: Erasure): object {
  return {
    erasureId,
    tenantId,
    state: certificate === null ? 'erasing' : 'erased',
    keysDestroyedAt: keysDestroyedAt.toISOString(),
    keyVersionsDestroyed: keyVersions,
    rowsRemoved: removed,
    certificate,
  };
}
