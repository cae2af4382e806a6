// SQL of the roots that a tenant believes besides those of the installation.
import type { Sql } from '../database.ts';

export interface TrustAnchorRow {
  /** SHA-256 of the DER certificate, hex. */
  sha256: string;
  certificatePem: string;
  subject: string;
  expiresAt: Date;
  addedAt: Date;
  addedBy: string;
}

/** In a tenant transaction, until its end: whoever adds counts alone. */
export async function lockTrustAnchors(sql: Sql, tenantId: string): Promise<void> {
  await sql.query(`select pg_advisory_xact_lock(hashtextextended('trust-anchors ' || $1, 0))`, [tenantId]);
}

/** In a tenant transaction: the newest first. */
export async function listTrustAnchors(sql: Sql, tenantId: string): Promise<TrustAnchorRow[]> {
  const { rows } = await sql.query<TrustAnchorRow>(
    `
      select
        encode(sha256, 'hex') as sha256,
        certificate_pem as "certificatePem",
        subject,
        expires_at as "expiresAt",
        added_at as "addedAt",
        added_by as "addedBy"
      from tenant_trust_anchors
      where tenant_id = $1
      order by added_at desc, sha256
    `,
    [tenantId],
  );
  return rows;
}

/** In a tenant transaction. False when it is there already. */
export async function insertTrustAnchor(
  sql: Sql,
  tenantId: string,
  anchor: Omit<TrustAnchorRow, 'addedAt'>,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      insert into tenant_trust_anchors (tenant_id, sha256, certificate_pem, subject, expires_at, added_by)
      values ($1, decode($2, 'hex'), $3, $4, $5, $6)
      on conflict (tenant_id, sha256) do nothing
    `,
    [tenantId, anchor.sha256, anchor.certificatePem, anchor.subject, anchor.expiresAt, anchor.addedBy],
  );
  return rowCount === 1;
}

/** In a tenant transaction. False when there is none. */
export async function deleteTrustAnchor(sql: Sql, tenantId: string, sha256: string): Promise<boolean> {
  const { rowCount } = await sql.query(
    `delete from tenant_trust_anchors where tenant_id = $1 and sha256 = decode($2, 'hex')`,
    [tenantId, sha256],
  );
  return rowCount === 1;
}
