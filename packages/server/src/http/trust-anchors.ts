// Routes of the roots that a tenant believes about signers besides those of the installation.
import { z } from 'zod';
import { audit } from '../access/audit.ts';
import type { TenantAnchors } from '../keys/tenant-anchors.ts';
import { json, route, type Route } from './route.ts';

const PATH = '/api/v1/photos/trust-anchors';
const KEYS_ADMIN = { kind: 'scope', scope: 'keys:admin' } as const;
const SHA256 = z.string().regex(/^[0-9a-f]{64}$/);
const ANCHOR = z.object({
  sha256: SHA256,
  subject: z.string(),
  expiresAt: z.iso.datetime(),
  addedAt: z.iso.datetime(),
  addedBy: z.string(),
  certificate: z.string().describe('PEM'),
});

export function trustAnchorRoutes({ tenantAnchors }: { tenantAnchors: TenantAnchors }): Route[] {
  return [
    route({
      method: 'GET',
      path: PATH,
      summary: 'Roots that this tenant believes about signers besides those of the installation',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'v1',
      answers: { 200: { description: 'The newest first.', schema: z.object({ data: z.array(ANCHOR) }) } },
      async handle({ principal }) {
        const rows = await tenantAnchors.list(principal.tenantId);
        return json({
          data: rows.map(({ sha256, subject, expiresAt, addedAt, addedBy, certificatePem }) => ({
            sha256,
            subject,
            expiresAt: expiresAt.toISOString(),
            addedAt: addedAt.toISOString(),
            addedBy,
            certificate: certificatePem,
          })),
        });
      },
    }),
    route({
      method: 'POST',
      path: PATH,
      summary: 'Believe one more root about signers, in this tenant’s verifications alone; at most 20',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'v1',
      body: z.strictObject({ certificate: z.string().min(1).max(16_384).describe('PEM of one root or issuing CA') }),
      answers: {
        201: { description: 'Believed from now on.', schema: z.object({ sha256: SHA256, subject: z.string() }) },
        409: { description: 'It is there already, or there are 20.' },
      },
      async handle({ principal: { tenantId, subject: actor }, body: { certificate }, requestId }) {
        const added = await tenantAnchors.add(tenantId, certificate, actor, (sql, sha256) =>
          audit(sql, {
            tenantId,
            actor,
            requestId,
            action: 'trust-anchor.add',
            object: `trust-anchor:${sha256}`,
            outcome: 'done',
          }),
        );
        return json(added, 201);
      },
    }),
    route({
      method: 'DELETE',
      path: `${PATH}/{sha256}`,
      summary: 'Believe a root of this tenant no more',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'v1',
      params: z.object({ sha256: SHA256 }),
      answers: {
        200: { description: 'Removed.', schema: z.object({ sha256: SHA256 }) },
        404: { description: 'There is no such root.' },
      },
      async handle({ principal: { tenantId, subject: actor }, params: { sha256 }, requestId }) {
        await tenantAnchors.remove(tenantId, sha256, (sql) =>
          audit(sql, {
            tenantId,
            actor,
            requestId,
            action: 'trust-anchor.remove',
            object: `trust-anchor:${sha256}`,
            outcome: 'done',
          }),
        );
        return json({ sha256 });
      },
    }),
  ];
}
