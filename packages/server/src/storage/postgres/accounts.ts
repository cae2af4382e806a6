// SQL of people: accounts, their password hashes, and their memberships in tenants.
import type { Sql } from '../database.ts';

export interface AccountRow {
  accountId: string;
  email: string;
  name: string;
  mustChangePassword: boolean;
}

export interface MemberRow {
  accountId: string;
  email: string;
  name: string;
  role: string;
  createdAt: Date;
  lastLoginAt: Date | null;
}

/** Lets the rest of the transaction act as this account too (making one, changing its password). */
export async function actAsAccount(sql: Sql, accountId: string): Promise<void> {
  await sql.query(`select set_config('app.account', $1, true)`, [accountId]);
}

/** In a look-up transaction for exactly this address. */
export async function findAccountByEmail(sql: Sql, email: string): Promise<string | undefined> {
  const { rows } = await sql.query<{ accountId: string }>(
    `
      select account_id as "accountId"
      from accounts
      where email = $1
    `,
    [email],
  );
  return rows[0]?.accountId;
}

/** In an account transaction: the account, its password hash, and the membership it made first. */
export async function findLogin(
  sql: Sql,
  accountId: string,
): Promise<(AccountRow & { argon2id: string; tenantId: string | null; role: string | null }) | undefined> {
  const { rows } = await sql.query<AccountRow & { argon2id: string; tenantId: string | null; role: string | null }>(
    `
      select
        a.account_id as "accountId",
        a.email,
        a.name,
        a.must_change_password as "mustChangePassword",
        p.argon2id,
        m.tenant_id as "tenantId",
        m.role
      from accounts a
      join account_passwords p on p.account_id = a.account_id
      left join lateral (
        select tenant_id, role
        from memberships
        where account_id = a.account_id
        order by created_at, tenant_id
        limit 1
      ) m on true
      where a.account_id = $1
    `,
    [accountId],
  );
  return rows[0];
}

/** In an account transaction. */
export async function insertAccount(sql: Sql, account: AccountRow & { argon2id: string }): Promise<void> {
  await sql.query(
    `
      insert into accounts (account_id, email, name, must_change_password)
      values ($1, $2, $3, $4)
    `,
    [account.accountId, account.email, account.name, account.mustChangePassword],
  );
  await sql.query(
    `
      insert into account_passwords (account_id, argon2id)
      values ($1, $2)
    `,
    [account.accountId, account.argon2id],
  );
}

/** In a tenant transaction. */
export async function insertMembership(
  sql: Sql,
  membership: { tenantId: string; accountId: string; role: string },
): Promise<void> {
  await sql.query(
    `
      insert into memberships (tenant_id, account_id, role)
      values ($1, $2, $3)
    `,
    [membership.tenantId, membership.accountId, membership.role],
  );
}

/** In an account transaction: the new hash, and no further change demanded. */
export async function replacePassword(
  sql: Sql,
  accountId: string,
  password: { argon2id: string; changedAt: Date },
): Promise<void> {
  await sql.query(
    `
      update account_passwords
      set argon2id = $2, changed_at = $3
      where account_id = $1
    `,
    [accountId, password.argon2id, password.changedAt],
  );
  await sql.query(
    `
      update accounts
      set must_change_password = false
      where account_id = $1
    `,
    [accountId],
  );
}

/** In an account transaction. */
export async function recordLogin(sql: Sql, accountId: string, at: Date): Promise<void> {
  await sql.query(
    `
      update accounts
      set last_login_at = $2
      where account_id = $1
    `,
    [accountId, at],
  );
}

/** In a tenant transaction: its members, longest first; at most 1,000. */
export async function listMembers(sql: Sql, tenantId: string): Promise<MemberRow[]> {
  const { rows } = await sql.query<MemberRow>(
    `
      select
        m.account_id as "accountId",
        a.email,
        a.name,
        m.role,
        m.created_at as "createdAt",
        a.last_login_at as "lastLoginAt"
      from memberships m
      join accounts a on a.account_id = m.account_id
      where m.tenant_id = $1
      order by m.created_at, m.account_id
      limit 1000
    `,
    [tenantId],
  );
  return rows;
}
