// SQL of service accounts and of the tokens that were logged out before their time.
import type { Sql } from '../database.ts';

export interface ServiceAccountRow {
  tenantId: string;
  serviceAccountId: string;
  username: string;
  /** Absent for the one of the first start. */
  name: string | null;
  argon2id: string;
  scopes: string[];
  createdAt: Date;
  createdBy: string | null;
  expiresAt: Date | null;
  disabledAt: Date | null;
  rotatedAt: Date | null;
  lastUsedAt: Date | null;
  /** The hash before a rotation, good until `previousUntil`. */
  previousArgon2id: string | null;
  previousUntil: Date | null;
}

export type NewServiceAccount = Pick<
  ServiceAccountRow,
  | 'tenantId'
  | 'serviceAccountId'
  | 'username'
  | 'name'
  | 'argon2id'
  | 'scopes'
  | 'createdAt'
  | 'createdBy'
  | 'expiresAt'
>;

const COLUMNS = `
  tenant_id as "tenantId",
  service_account_id as "serviceAccountId",
  username,
  name,
  argon2id,
  scopes,
  created_at as "createdAt",
  created_by as "createdBy",
  expires_at as "expiresAt",
  disabled_at as "disabledAt",
  rotated_at as "rotatedAt",
  last_used_at as "lastUsedAt",
  previous_argon2id as "previousArgon2id",
  previous_until as "previousUntil"
`;

export async function insertServiceAccount(sql: Sql, account: NewServiceAccount): Promise<void> {
  await sql.query(
    `
      insert into service_accounts
        (tenant_id, service_account_id, username, name, argon2id, scopes, created_at, created_by, expires_at)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    `,
    [
      account.tenantId,
      account.serviceAccountId,
      account.username,
      account.name,
      account.argon2id,
      account.scopes,
      account.createdAt,
      account.createdBy,
      account.expiresAt,
    ],
  );
}

/** In the tenant's transaction: the newest first, at most 1,000. */
export async function listServiceAccounts(sql: Sql, tenantId: string): Promise<ServiceAccountRow[]> {
  const { rows } = await sql.query<ServiceAccountRow>(
    `
      select ${COLUMNS}
      from service_accounts
      where tenant_id = $1
      order by created_at desc, service_account_id
      limit 1000
    `,
    [tenantId],
  );
  return rows;
}

/** In the tenant's transaction: those that are not disabled. */
export async function countServiceAccounts(sql: Sql, tenantId: string): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    'select count(*)::int as count from service_accounts where tenant_id = $1 and disabled_at is null',
    [tenantId],
  );
  return rows[0]?.count ?? 0;
}

/** In the tenant's transaction: locked until its end. */
export async function lockServiceAccount(
  sql: Sql,
  of: { tenantId: string; serviceAccountId: string },
): Promise<ServiceAccountRow | undefined> {
  const { rows } = await sql.query<ServiceAccountRow>(
    `
      select ${COLUMNS}
      from service_accounts
      where tenant_id = $1 and service_account_id = $2
      for no key update
    `,
    [of.tenantId, of.serviceAccountId],
  );
  return rows[0];
}

/** Under the lock: another hash; the one before is good until then. */
export async function rotateServiceAccount(
  sql: Sql,
  of: {
    tenantId: string;
    serviceAccountId: string;
    argon2id: string;
    rotatedAt: Date;
    expiresAt: Date | null;
    previousUntil: Date;
  },
): Promise<void> {
  await sql.query(
    `
      update service_accounts
      set
        previous_argon2id = argon2id,
        previous_until = $6,
        argon2id = $3,
        rotated_at = $4,
        expires_at = $5
      where tenant_id = $1 and service_account_id = $2
    `,
    [of.tenantId, of.serviceAccountId, of.argon2id, of.rotatedAt, of.expiresAt, of.previousUntil],
  );
}

/** Under the lock. */
export async function disableServiceAccount(
  sql: Sql,
  of: { tenantId: string; serviceAccountId: string; at: Date },
): Promise<void> {
  await sql.query(
    `
      update service_accounts
      set disabled_at = $3, previous_argon2id = null, previous_until = null
      where tenant_id = $1 and service_account_id = $2
    `,
    [of.tenantId, of.serviceAccountId, of.at],
  );
}

/** In the tenant's transaction; not on every login, so that a busy account does not write each time. */
export async function touchServiceAccount(
  sql: Sql,
  of: { tenantId: string; serviceAccountId: string; at: Date; before: Date },
): Promise<void> {
  await sql.query(
    `
      update service_accounts
      set last_used_at = $3
      where tenant_id = $1 and service_account_id = $2 and (last_used_at is null or last_used_at < $4)
    `,
    [of.tenantId, of.serviceAccountId, of.at, of.before],
  );
}

/**
 * In a look-up transaction for exactly this name. Names are unique within a tenant only; they carry 80 random bits,
 * and a name that two tenants share finds nobody.
 */
export async function findServiceAccount(sql: Sql, username: string): Promise<ServiceAccountRow | undefined> {
  const { rows } = await sql.query<ServiceAccountRow>(
    `select ${COLUMNS} from service_accounts where username = $1 limit 2`,
    [username],
  );
  return rows.length === 1 ? rows[0] : undefined;
}

/** What the database says about a token whose signature is right: does its account still exist, was it logged out? */
export async function tokenStanding(
  sql: Sql,
  token: { tenantId: string; serviceAccountId: string; iss: string; jti: string; now: Date },
): Promise<{ isAccountLive: boolean; isRevoked: boolean }> {
  const { rows } = await sql.query<{ isAccountLive: boolean; isRevoked: boolean }>(
    `
      select
        exists (
          select 1
          from service_accounts
          where tenant_id = $1
            and service_account_id = $2
            and disabled_at is null
            and (expires_at is null or expires_at > $5)
        ) as "isAccountLive",
        exists (
          select 1
          from revoked_tokens
          where tenant_id = $1 and iss = $3 and jti = $4
        ) as "isRevoked"
    `,
    [token.tenantId, token.serviceAccountId, token.iss, token.jti, token.now],
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
