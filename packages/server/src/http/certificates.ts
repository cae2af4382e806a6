// The route that takes back a certificate: for owners of the installation, because all tenants sign with it.
import { z } from 'zod';
import { audit } from '../access/audit.ts';
import type { Principal } from '../access/principal.ts';
import type { Revocations } from '../keys/revocation.ts';
import { certificateRevoked, writeEntry } from '../transparency/entry.ts';
import { Problem } from './errors.ts';
import { momentOf } from './moment.ts';
import { json, route, type Route } from './route.ts';

export interface CertificateRoutesOptions {
  revocations: Revocations;
  /** Called after a revocation: what signs is read again at once. */
  renew(): Promise<void>;
}

const INSTANT = z.iso.datetime({ offset: true });
const BODY = z.strictObject({
  at: INSTANT.optional().describe('From when on it is not trusted: now (without it) or earlier, never later.'),
  reason: z.string().trim().min(1).max(200).optional().describe('For the audit log; no personal data.'),
});

export function certificateRoutes({ revocations, renew }: CertificateRoutesOptions): Route[] {
  return [
    route({
      method: 'POST',
      path: '/api/v1/photos/certificates/{kid}/revoke',
      summary: 'Revoke a certificate that signs photographs; pictures with an earlier trusted time stamp stay valid',
      tag: 'keys',
      policy: { kind: 'person' },
      limit: 'v1',
      params: z.object({ kid: z.string().regex(/^[\w-]{1,128}$/) }),
      body: BODY,
      answers: {
        200: {
          description: 'Revoked; the next picture is signed by a new one.',
          schema: z.object({ kid: z.string(), revokedAt: z.iso.datetime() }),
        },
        403: { description: 'Only owners of the installation’s first tenant may.' },
        404: { description: 'There is no such certificate.' },
        409: { description: 'It is a root or another key that cannot be revoked here.' },
      },
      async handle({ principal, params: { kid }, body: { at, reason }, requestId }) {
        await requireOwner(revocations, principal);
        const { tenantId, subject: actor } = principal;
        const request = { kid, at: at === undefined ? new Date() : momentOf('at', at), ...(reason && { reason }) };
        const { revokedAt } = await revocations.revoke(request, tenantId, async (sql, revoked) => {
          await audit(sql, {
            tenantId,
            actor,
            requestId,
            action: 'certificate.revoke',
            object: `certificate:${kid}`,
            outcome: 'done',
            detail: { purpose: revoked.purpose, from: revoked.revokedAt.toISOString(), ...(reason && { reason }) },
          });
          await writeEntry(sql, certificateRevoked(tenantId, revoked.kid));
        });
        await renew();
        return json({ kid, revokedAt: revokedAt.toISOString() });
      },
    }),
  ];
}

async function requireOwner(revocations: Revocations, { tenantId, role }: Principal): Promise<void> {
  if (role === 'owner' && (await revocations.keeper()) === tenantId) return;
  throw new Problem('FORBIDDEN', 'Only owners of the installation may do this.');
}
