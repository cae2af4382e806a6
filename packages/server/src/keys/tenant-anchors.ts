// Roots that a tenant believes about signers besides those of the installation, for its own verifications alone.
import { createHash, X509Certificate } from 'node:crypto';
import type { Database, Sql } from '../storage/database.ts';
import {
  deleteTrustAnchor,
  insertTrustAnchor,
  listTrustAnchors,
  lockTrustAnchors,
  type TrustAnchorRow,
} from '../storage/postgres/trust-anchors.ts';
import { AnchorsRefused, checkAnchors } from './trust-anchors.ts';

/** More would make every verification slower; whoever needs a whole list names it for the installation. */
export const MOST_TENANT_ANCHORS = 20;

export class TenantAnchorRefused extends Error {
  readonly code: 'VALIDATION_FAILED' | 'CONFLICT' | 'NOT_FOUND';
  constructor(code: TenantAnchorRefused['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TenantAnchorRefused';
    this.code = code;
  }
}

/** What a certificate says of itself. */
export interface AnchorFacts {
  /** Of its DER. */
  sha256: string;
  subject: string;
  issuer: string;
  validFrom: Date;
  expiresAt: Date;
}

type Alongside = (sql: Sql, sha256: string) => Promise<void>;

export interface TenantAnchors {
  list(tenantId: string): Promise<TrustAnchorRow[]>;
  /** PEM of those that have not ended; '' without any. */
  pemOf(tenantId: string): Promise<string>;
  /** What `add` would take in, with nothing written. @throws TenantAnchorRefused */
  preview(pem: string): AnchorFacts;
  /** One root or issuing CA, in one transaction with what `alongside` writes. @throws TenantAnchorRefused */
  add(
    tenantId: string,
    pem: string,
    addedBy: string,
    alongside: Alongside,
  ): Promise<{ sha256: string; subject: string }>;
  /** @throws TenantAnchorRefused NOT_FOUND */
  remove(tenantId: string, sha256: string, alongside: Alongside): Promise<void>;
}

export function createTenantAnchors({
  database,
  nowMs = Date.now,
}: {
  database: Database;
  nowMs?: () => number;
}): TenantAnchors {
  const list = (tenantId: string): Promise<TrustAnchorRow[]> =>
    database.inTenant(tenantId, (sql) => listTrustAnchors(sql, tenantId));
  return {
    list,
    async pemOf(tenantId) {
      const rows = await list(tenantId);
      const alive = rows.filter(({ expiresAt }) => expiresAt.getTime() > nowMs());
      return alive.map(({ certificatePem }) => certificatePem).join('\n');
    },
    preview: (pem) => anchorFacts(readAuthority(pem, nowMs())),
    async add(tenantId, pem, addedBy, alongside) {
      const certificate = readAuthority(pem, nowMs());
      const { sha256, subject, expiresAt } = anchorFacts(certificate);
      await database.inTenant(tenantId, async (sql) => {
        await lockTrustAnchors(sql, tenantId);
        if ((await listTrustAnchors(sql, tenantId)).length >= MOST_TENANT_ANCHORS)
          throw new TenantAnchorRefused('CONFLICT', `There are ${MOST_TENANT_ANCHORS} already: remove one first.`);
        const row = { sha256, certificatePem: certificate.toString(), subject, expiresAt, addedBy };
        if (!(await insertTrustAnchor(sql, tenantId, row)))
          throw new TenantAnchorRefused('CONFLICT', 'This certificate is a trust anchor already.');
        await alongside(sql, sha256);
      });
      return { sha256, subject };
    },
    async remove(tenantId, sha256, alongside) {
      await database.inTenant(tenantId, async (sql) => {
        if (!(await deleteTrustAnchor(sql, tenantId, sha256)))
          throw new TenantAnchorRefused('NOT_FOUND', 'There is no such trust anchor.');
        await alongside(sql, sha256);
      });
    },
  };
}

export function anchorFacts(certificate: X509Certificate): AnchorFacts {
  const sha256 = createHash('sha256').update(certificate.raw).digest('hex');
  const [subject, issuer] = [oneLine(certificate.subject), oneLine(certificate.issuer)];
  return { sha256, subject, issuer, validFrom: certificate.validFromDate, expiresAt: certificate.validToDate };
}

// a certificate without a subject has none in Node either
const oneLine = (name: string | undefined): string => (name ?? '').replaceAll(/\s*\n\s*/g, ', ').slice(0, 400);

function readAuthority(pem: string, nowMs: number): X509Certificate {
  try {
    const certificate = new X509Certificate(checkAnchors(pem, 'the request', 1));
    if (certificate.validToDate.getTime() > nowMs) return certificate;
  } catch (cause) {
    if (!(cause instanceof AnchorsRefused)) throw cause;
    throw new TenantAnchorRefused('VALIDATION_FAILED', cause.message, { cause });
  }
  throw new TenantAnchorRefused('VALIDATION_FAILED', 'Expected a certificate that has not ended.');
}
