// Routes of the roots that a tenant believes about signers: its own, and those of the installation beside them.
import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { audit } from '../access/audit.ts';
import { anchorFacts, type AnchorFacts, type TenantAnchors } from '../keys/tenant-anchors.ts';
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

const FACTS = z.object({
  sha256: SHA256.describe('of the DER'),
  subject: z.string(),
  issuer: z.string(),
  validFrom: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
});
const INSTALLED = FACTS.extend({
  source: z.enum(['own', 'file', 'time']).describe('own: made or brought here; file: signers; time: time stamps alone'),
});

/** PEM bundles that everybody here believes. */
export interface InstallationAnchors {
  ownAnchorsPem?: string;
  /** Those of the installation and of the operator's file. */
  trustAnchorsPem: string;
  timestampAnchorsPem?: string;
}

/** An operator's file may name a thousand. */
const MOST_INSTALLED = 200;

interface Doors {
  tenantAnchors: TenantAnchors;
  installation: () => Promise<InstallationAnchors>;
}

export function trustAnchorRoutes({ tenantAnchors, installation }: Doors): Route[] {
  return [
    route({
      method: 'GET',
      path: PATH,
      summary: 'Roots that this tenant believes about signers besides those of the installation',
      tag: 'keys',
      policy: KEYS_ADMIN,
      limit: 'v1',
      answers: {
        200: {
          description: `The newest first; beside them up to ${MOST_INSTALLED} of those that the installation believes.`,
          schema: z.object({
            data: z.array(ANCHOR),
            installation: z.array(INSTALLED),
            more: z.number().int().describe('of the installation, not listed'),
          }),
        },
      },
      async handle({ principal }) {
        const [rows, installed] = [await tenantAnchors.list(principal.tenantId), installedOf(await installation())];
        return json({
          installation: installed.slice(0, MOST_INSTALLED),
          more: Math.max(0, installed.length - MOST_INSTALLED),
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
      body: z.strictObject({
        certificate: z.string().min(1).max(16_384).describe('PEM of one root or issuing CA'),
        dryRun: z.boolean().optional().describe('only say what the certificate is'),
      }),
      answers: {
        200: { description: 'With `dryRun`: what would be believed; nothing was written.', schema: FACTS },
        201: { description: 'Believed from now on.', schema: z.object({ sha256: SHA256, subject: z.string() }) },
        409: { description: 'It is there already, or there are 20.' },
      },
      async handle({ principal: { tenantId, subject: actor }, body: { certificate, dryRun }, requestId }) {
        if (dryRun === true) return json(said(tenantAnchors.preview(certificate)));
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

const said = ({ validFrom, expiresAt, ...facts }: AnchorFacts): z.infer<typeof FACTS> => ({
  ...facts,
  validFrom: validFrom.toISOString(),
  expiresAt: expiresAt.toISOString(),
});

// each with the first source that has it: the operator's bundle repeats those of the installation
function installedOf({ ownAnchorsPem, trustAnchorsPem, timestampAnchorsPem = '' }: InstallationAnchors) {
  const found = new Map<string, z.infer<typeof INSTALLED>>();
  const sources = { own: ownAnchorsPem ?? '', file: trustAnchorsPem, time: timestampAnchorsPem } as const;
  for (const source of ['own', 'file', 'time'] as const)
    for (const pem of sources[source].match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []) {
      const facts = said(anchorFacts(new X509Certificate(pem)));
      // one root may vouch for signers and for time
      const key = `${source === 'time' ? 'time' : 'signers'} ${facts.sha256}`;
      if (!found.has(key)) found.set(key, { ...facts, source });
    }
  return [...found.values()];
}
