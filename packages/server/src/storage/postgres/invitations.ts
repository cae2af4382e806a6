// SQL of invitations: rows hold the HMAC of the link, never the link. Addresses are sealed here on their way in and opened on
// their way out.
import type { Sql } from '../database.ts';
import { invitationAad } from '../sealed.ts';
import { sealsOf } from '../seals.ts';
import { actAsTenant } from './tenants.ts';

export interface InvitationRow {
  tenantId: string;
  invitationId: string;
  email: string;
  role: string;
  createdAt: Date;
  createdBy: string;
  expiresAt: Date;
  acceptedAt: Date | null;
  revokedAt: Date | null;
}

type SealedInvitation = Omit<InvitationRow, 'email'> & { emailSealed: Buffer };

const INVITATION = `
  select
    tenant_id as "tenantId",
    invitation_id as "invitationId",
    email_sealed as "emailSealed",
    role,
    created_at as "createdAt",
    created_by as "createdBy",
    expires_at as "expiresAt",
    accepted_at as "acceptedAt",
    revoked_at as "revokedAt"
  from invitations
`;

async function opened(sql: Sql, tenantId: string, rows: readonly SealedInvitation[]): Promise<InvitationRow[]> {
  if (rows.length === 0) return [];
  const seal = await sealsOf(sql).tenant(tenantId);
  return rows.map(({ emailSealed, ...row }) => ({
    ...row,
    email: seal.open('column', invitationAad(row.invitationId), emailSealed).toString('utf8'),
  }));
}

export async function insertInvitation(
  sql: Sql,
  invitation: Omit<InvitationRow, 'acceptedAt' | 'revokedAt'> & { tokenHash: string },
): Promise<void> {
  const { tenantId, invitationId, email } = invitation;
  const seal = await sealsOf(sql).tenant(tenantId);
  await sql.query(
    `
      insert into invitations
        (tenant_id, invitation_id, email_sealed, role, token_hash, created_at, created_by, expires_at)
      values ($1, $2, $3, $4, $5, $6, $7, $8)
    `,
    [
      tenantId,
      invitationId,
      seal.seal('column', invitationAad(invitationId), Buffer.from(email, 'utf8')),
      invitation.role,
      invitation.tokenHash,
      invitation.createdAt,
      invitation.createdBy,
      invitation.expiresAt,
    ],
  );
}

/** In the tenant's transaction: those that can still be accepted, the newest first; at most `limit`. */
export async function listOpenInvitations(
  sql: Sql,
  tenantId: string,
  { now, limit }: { now: Date; limit: number },
): Promise<InvitationRow[]> {
  const { rows } = await sql.query<SealedInvitation>(
    `
      ${INVITATION}
      where tenant_id = $1 and accepted_at is null and revoked_at is null and expires_at > $2
      order by created_at desc, invitation_id
      limit $3
    `,
    [tenantId, now, limit],
  );
  return opened(sql, tenantId, rows);
}

/** In a look-up transaction for exactly this hash, of which the rest is the tenant's. */
export async function findInvitation(sql: Sql, tokenHash: string): Promise<InvitationRow | undefined> {
  const { rows } = await sql.query<SealedInvitation>(`${INVITATION} where token_hash = $1`, [tokenHash]);
  const [row] = rows;
  if (row === undefined) return undefined;
  await actAsTenant(sql, row.tenantId);
  return (await opened(sql, row.tenantId, [row]))[0];
}

/** In the tenant's transaction. @returns whether it was open: of several that accept at once, one does */
export async function acceptInvitation(
  sql: Sql,
  of: { tenantId: string; invitationId: string; accountId: string; at: Date },
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      update invitations
      set accepted_at = $3, accepted_by = $4
      where tenant_id = $1 and invitation_id = $2
        and accepted_at is null and revoked_at is null and expires_at > $3
    `,
    [of.tenantId, of.invitationId, of.at, of.accountId],
  );
  return rowCount === 1;
}

/** @returns whether there was one to revoke */
export async function revokeInvitation(
  sql: Sql,
  of: { tenantId: string; invitationId: string; at: Date },
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      update invitations
      set revoked_at = $3
      where tenant_id = $1 and invitation_id = $2 and accepted_at is null and revoked_at is null
    `,
    [of.tenantId, of.invitationId, of.at],
  );
  return rowCount === 1;
}

/** In the tenant's transaction: every open one that somebody made. */
export async function revokeInvitationsBy(
  sql: Sql,
  of: { tenantId: string; createdBy: string; at: Date },
): Promise<void> {
  await sql.query(
    `
      update invitations
      set revoked_at = $3
      where tenant_id = $1 and created_by = $2 and accepted_at is null and revoked_at is null
    `,
    [of.tenantId, of.createdBy, of.at],
  );
}

/** Of the tenant, that ended before; what happened to them stands in the audit log. */
export async function deleteEndedInvitations(sql: Sql, tenantId: string, before: Date): Promise<void> {
  await sql.query(
    `
      delete from invitations
      where tenant_id = $1 and (accepted_at < $2 or revoked_at < $2 or expires_at < $2)
    `,
    [tenantId, before],
  );
}
