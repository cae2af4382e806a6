// SQL of service accounts and of the tokens that were logged out before their time.
import type { Sql } from '../database.ts';

export interface ServiceAccountRow {
  tenantId: string;
  serviceAccountId: string;
  username: string;
  argon2id: string;
  scopes: string[];
  disabledAt: Date | null;
}

export async function insertServiceAccount(sql: Sql, account: Omit<ServiceAccountRow, 'disabledAt'>): Promise<void> {
  await sql.query(
    `
      insert into service_accounts (tenant_id, service_account_id, username, argon2id, scopes)
      values ($1, $2, $3, $4, $5)
    `,
    [account.tenantId, account.serviceAccountId, account.username, account.argon2id, account.scopes],
  );
}

/**
 * In a look-up transaction for exactly this name. Names are unique within a tenant only; they carry 80 random bits,
 * and a name that two tenants share finds nobody.
 */
export async function findServiceAccount(sql: Sql, username: string): Promise<ServiceAccountRow | undefined> {
  const { rows } = await sql.query<ServiceAccountRow>(
    `
      select
        tenant_id as "tenantId",
        service_account_id as "serviceAccountId",
        username,
        argon2id,
        scopes,
        disabled_at as "disabledAt"
      from service_accounts
      where username = $1
      limit 2
    `,
    [username],
  );
  return rows.length === 1 ? rows[0] : undefined;
}

/** What the database says about a token whose signature is right: does its account still exist, was it logged out? */
export async function tokenStanding(
  sql: Sql,
  token: { tenantId: string; serviceAccountId: string; iss: string; jti: string },
): Promise<{ isAccountLive: boolean; isRevoked: boolean }> {
  const { rows } = await sql.query<{ isAccountLive: boolean; isRevoked: boolean }>(
    `
      select
        exists (
          select 1
          from service_accounts
          where tenant_id = $1 and service_account_id = $2 and disabled_at is null
        ) as "isAccountLive",
        exists (
          select 1
          from revoked_tokens
          where tenant_id = $1 and iss = $3 and jti = $4
        ) as "isRevoked"
    `,
    [token.tenantId, token.serviceAccountId, token.iss, token.jti],
  );
  return rows[0] ?? { isAccountLive: false, isRevoked: true };
}

/** Revokes a token and forgets the tenant's revocations whose tokens have expired since. */
export async function revokeToken(
  sql: Sql,
  token: { tenantId: string; iss: string; jti: string; expiresAt: Date; forgetBefore: Date },
): Promise<void> {
  await sql.query(
    `
      delete from revoked_tokens
      where tenant_id = $1 and expires_at < $2
    `,
    [token.tenantId, token.forgetBefore],
  );
  await sql.query(
    `
      insert into revoked_tokens (tenant_id, iss, jti, expires_at)
      values ($1, $2, $3, $4)
      on conflict do nothing
    `,
    [token.tenantId, token.iss, token.jti, token.expiresAt],
  );
}
