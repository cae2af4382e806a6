// Takes back a certificate from a moment on: what it signed after that moment is not trusted any more, and what a
// trusted time stamp puts before it stays good.
import type { Database, Sql } from '../storage/database.ts';
import { lockPhotoKeys, revokePhotoKey, type PhotoKeyPurpose } from '../storage/postgres/photo-keys.ts';
import { installedTenant } from '../storage/postgres/tenants.ts';

export interface RevocationsOptions {
  database: Database;
  nowMs?: () => number;
}

export interface RevokeRequest {
  /** As the inventory names it. */
  kid: string;
  /** When the key stopped being ours alone: now or earlier. */
  at: Date;
  /** For whoever reads the audit log; no personal data. At most 200 characters. */
  reason?: string | null;
}

export interface Revoked {
  kid: string;
  purpose: PhotoKeyPurpose;
  /** The earliest moment that was ever given for this certificate. */
  revokedAt: Date;
}

/** The request cannot be followed: no such certificate, one that cannot be revoked, or a moment to come. */
export class RevocationRefused extends Error {
  readonly code: 'NOT_FOUND' | 'CONFLICT' | 'VALIDATION_FAILED';
  constructor(code: RevocationRefused['code'], message: string) {
    super(message);
    this.name = 'RevocationRefused';
    this.code = code;
  }
}

/** Clocks of two machines differ by this much at most. */
const SKEW_MS = 30_000;
const REVOCABLE: ReadonlySet<PhotoKeyPurpose> = new Set(['leaf', 'issuing-ca']);

export interface Revocations {
  /** The tenant whose owners may revoke: that of the installation, undefined before the first start. */
  keeper(): Promise<string | undefined>;
  /**
   * Revokes a leaf or an issuing CA, in one transaction with what `alongside` writes for `tenantId`, such as the audit
   * line. A second time moves the moment to an earlier one, never to a later one. Processes notice within a minute.
   * @throws RevocationRefused, DatabaseUnavailable
   */
  revoke(
    request: RevokeRequest,
    tenantId: string,
    alongside: (sql: Sql, revoked: Revoked) => Promise<void>,
  ): Promise<Revoked>;
}

export function createRevocations({ database, nowMs = Date.now }: RevocationsOptions): Revocations {
  return {
    keeper: () => database.inLookup('', installedTenant),
    async revoke(request, tenantId, alongside) {
      if (Number.isNaN(request.at.getTime()) || request.at.getTime() > nowMs() + SKEW_MS) throw toCome();
      return database.inSystem(async (sql) => {
        const revoked = await revoke(sql, request);
        // lines of the audit log are rows of a tenant, for the owner of the tables as well
        await sql.query(`select set_config('app.tenant', $1, true)`, [tenantId]);
        await alongside(sql, revoked);
        return revoked;
      });
    },
  };
}

const toCome = (): RevocationRefused =>
  new RevocationRefused('VALIDATION_FAILED', 'Expected a moment that has come: a revocation tells what happened.');

async function revoke(sql: Sql, { kid, at, reason = null }: RevokeRequest): Promise<Revoked> {
  await lockPhotoKeys(sql);
  const revoked = await revokePhotoKey(sql, { kid, at, reason });
  if (revoked === undefined)
    throw new RevocationRefused('NOT_FOUND', 'There is no certificate with this id: "keys list" names them.');
  if (!REVOCABLE.has(revoked.purpose))
    throw new RevocationRefused('CONFLICT', `Expected a leaf or an issuing CA but ${kid} is the ${revoked.purpose}.`);
  return revoked;
}
