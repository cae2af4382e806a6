// SQL of people: accounts, their password hashes, and their memberships in tenants. Addresses and names are sealed here
// on their way in and opened on their way out: no caller sees a sealed one, no row holds one in clear.
import type { Database, Sql } from '../database.ts';
import { sealsOf, type PeopleSeal } from '../seals.ts';

export interface AccountRow {
  accountId: string;
  email: string;
  name: string;
  mustChangePassword: boolean;
  /** The tenant whose identity provider made the account, which is nobody elsewhere; null: a person of their own. */
  managedBy: string | null;
}

export interface MemberRow {
  accountId: string;
  email: string;
  name: string;
  role: string;
  createdAt: Date;
  lastLoginAt: Date | null;
  /** Made by an identity provider of the tenant. */
  isManaged: boolean;
}

/** Lets the rest of the transaction act as this account too (making one, changing its password). */
export async function actAsAccount(sql: Sql, accountId: string): Promise<void> {
  await sql.query(`select set_config('app.account', $1, true)`, [accountId]);
}

/** As it stands in the row, before it is opened. */
export interface SealedPerson {
  accountId: string;
  emailSealed: Buffer;
  nameSealed: Buffer;
}

/** The row with address and name in clear. */
export function openedPerson<Row extends SealedPerson>(
  seal: PeopleSeal,
  { emailSealed, nameSealed, ...row }: Row,
): Omit<Row, 'emailSealed' | 'nameSealed'> & { email: string; name: string } {
  const { accountId } = row;
  return {
    ...row,
    email: seal.open('email', accountId, emailSealed),
    name: seal.open('name', accountId, nameSealed),
  };
}

/** In any transaction, which afterwards looks up nothing else: the policy shows the one account of this address. */
export async function findAccountByEmail(sql: Sql, email: string): Promise<string | undefined> {
  const seal = await sealsOf(sql).people();
  for (const index of seal.indexes(email)) {
    const accountId = await findAccountByIndex(sql, index);
    if (accountId !== undefined) return accountId;
  }
  return undefined;
}

async function findAccountByIndex(sql: Sql, index: string): Promise<string | undefined> {
  await sql.query(`select set_config('app.lookup', $1, true)`, [index]);
  const { rows } = await sql.query<{ accountId: string }>(
    `
      select account_id as "accountId"
      from accounts
      where email_index = $1
    `,
    [index],
  );
  return rows[0]?.accountId;
}

/** The index to write: while two versions are in use, an address that is there under the other one must clash with it. */
async function indexToInsert(sql: Sql, [index, ...others]: readonly [string, ...string[]]): Promise<string> {
  if (others.length === 0) return index;
  // of all versions the same one, whichever is in use here
  const lock = [index, ...others].toSorted()[0];
  await sql.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [lock]);
  for (const other of others) if ((await findAccountByIndex(sql, other)) !== undefined) return other;
  return index;
}

/** How somebody may log in, and where that leads: the tenant used last, else the one joined first; null without any. */
export interface LoginRow extends AccountRow {
  /** Null: the person has no password. */
  argon2id: string | null;
  tenantId: string | null;
  role: string | null;
}

/** In an account transaction. */
export async function findLogin(sql: Sql, accountId: string): Promise<LoginRow | undefined> {
  const seal = await sealsOf(sql).people();
  const { rows } = await sql.query<SealedPerson & Omit<LoginRow, 'accountId' | 'email' | 'name'>>(
    `
      select
        a.account_id as "accountId",
        a.email_sealed as "emailSealed",
        a.name_sealed as "nameSealed",
        a.must_change_password as "mustChangePassword",
        a.managed_by as "managedBy",
        p.argon2id,
        m.tenant_id as "tenantId",
        m.role
      from accounts a
      left join account_passwords p on p.account_id = a.account_id
      left join lateral (
        select tenant_id, role
        from memberships
        where account_id = a.account_id
        order by tenant_id is distinct from a.last_tenant_id, created_at, tenant_id
        limit 1
      ) m on true
      where a.account_id = $1
    `,
    [accountId],
  );
  return rows[0] && openedPerson(seal, rows[0]);
}

/** What the blind index is made of: the address, for a managed account together with its tenant. */
function indexedAs({ email, managedBy }: Pick<AccountRow, 'email' | 'managedBy'>): string {
  return managedBy === null ? email : `${managedBy}\n${email}`;
}

/** In an account transaction. An address that is there already violates a unique constraint, as in any other table. */
export async function insertAccount(
  sql: Sql,
  account: Omit<AccountRow, 'managedBy'> & { argon2id: string | null; managedBy?: string },
): Promise<void> {
  const seal = await sealsOf(sql).people();
  const { accountId, email, name, managedBy = null } = account;
  await sql.query(
    `
      insert into accounts (account_id, email_index, email_sealed, name_sealed, must_change_password, managed_by)
      values ($1, $2, $3, $4, $5, $6)
    `,
    [
      accountId,
      await indexToInsert(sql, seal.indexes(indexedAs({ email, managedBy }))),
      seal.seal('email', accountId, email),
      seal.seal('name', accountId, name),
      account.mustChangePassword,
      managedBy,
    ],
  );
  if (account.argon2id === null) return;
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
  const seal = await sealsOf(sql).people();
  const { rows } = await sql.query<SealedPerson & Omit<MemberRow, 'email' | 'name'>>(
    `
      select
        m.account_id as "accountId",
        a.email_sealed as "emailSealed",
        a.name_sealed as "nameSealed",
        m.role,
        m.created_at as "createdAt",
        a.last_login_at as "lastLoginAt",
        a.managed_by is not null as "isManaged"
      from memberships m
      join accounts a on a.account_id = m.account_id
      where m.tenant_id = $1
      order by m.created_at, m.account_id
      limit 1000
    `,
    [tenantId],
  );
  return rows.map((row) => openedPerson(seal, row));
}

/**
 * As the owner: at most `limit` accounts whose address and name stand in clear, as earlier versions wrote them, or under
 * an earlier version of the key than the one in use.
 */
export async function listAccountsToSeal(
  sql: Sql,
  limit: number,
): Promise<Array<Omit<AccountRow, 'mustChangePassword'> & { wasOpen: boolean }>> {
  const seal = await sealsOf(sql).people();
  await sql.query(`select set_config('app.sealing', 'on', true)`);
  const { rows } = await sql.query<
    { accountId: string; managedBy: string | null } & (
      | { email: string; name: string; emailSealed: null; nameSealed: null }
      | { email: null; name: null; emailSealed: Buffer; nameSealed: Buffer }
    )
  >(
    `
      select
        account_id as "accountId",
        managed_by as "managedBy",
        email,
        name,
        email_sealed as "emailSealed",
        name_sealed as "nameSealed"
      from accounts
      where email_sealed is null or substring(email_sealed from 3 for 4) < int4send($2)
      order by account_id
      limit $1
      for update
    `,
    [limit, seal.version],
  );
  return rows.map((row) =>
    row.emailSealed === null
      ? { accountId: row.accountId, managedBy: row.managedBy, email: row.email, name: row.name, wasOpen: true }
      : { ...openedPerson<SealedPerson & { managedBy: string | null }>(seal, row), wasOpen: false },
  );
}

/** As the owner, in the transaction that listed it. */
export async function sealAccount(
  sql: Sql,
  { accountId, email, name, managedBy }: Omit<AccountRow, 'mustChangePassword'>,
): Promise<void> {
  const seal = await sealsOf(sql).people();
  await sql.query(
    `
      update accounts
      set email_index = $2, email_sealed = $3, name_sealed = $4, email = null, name = null
      where account_id = $1
    `,
    [
      accountId,
      seal.indexes(indexedAs({ email, managedBy }))[0],
      seal.seal('email', accountId, email),
      seal.seal('name', accountId, name),
    ],
  );
}

/** Writes the file of the table anew, without the rows that are no more. Everybody else waits meanwhile. */
export async function rewriteAccounts(database: Database): Promise<void> {
  await database.ownerPool.query('vacuum full accounts');
}

/** In the tenant's transaction: from here to the commit nobody else changes who belongs to it, and as what. */
export async function lockMembers(sql: Sql, tenantId: string): Promise<void> {
  await sql.query('select 1 from tenants where tenant_id = $1 for no key update', [tenantId]);
}

/** In the tenant's transaction: the role of a member, who stays one until the commit; undefined: no member. */
export async function roleOf(sql: Sql, tenantId: string, accountId: string): Promise<string | undefined> {
  const { rows } = await sql.query<{ role: string }>(
    'select role from memberships where tenant_id = $1 and account_id = $2 for key share',
    [tenantId, accountId],
  );
  return rows[0]?.role;
}

/** What decides about a member. */
export interface MembershipRow {
  accountId: string;
  role: string;
  isManaged: boolean;
}

/**
 * In the tenant's transaction. Of two with one address, the person of their own goes before the one whom an identity provider
 * of the tenant made.
 */
export async function findMember(
  sql: Sql,
  tenantId: string,
  by: { accountId: string } | { email: string },
): Promise<MembershipRow | undefined> {
  const isAddress = 'email' in by;
  const { rows } = await sql.query<MembershipRow>(
    `
      select m.account_id as "accountId", m.role, a.managed_by is not null as "isManaged"
      from memberships m
      join accounts a on a.account_id = m.account_id
      where m.tenant_id = $1 and ${isAddress ? 'a.email_index = any($2)' : 'a.account_id = $2'}
      order by a.managed_by nulls first
      limit 1
    `,
    [tenantId, isAddress ? await indexesHere(sql, tenantId, by.email) : by.accountId],
  );
  return rows[0];
}

/** Everything that may stand for an address among the tenant's members. */
async function indexesHere(sql: Sql, tenantId: string, email: string): Promise<string[]> {
  const seal = await sealsOf(sql).people();
  return [null, tenantId].flatMap((managedBy) => [...seal.indexes(indexedAs({ email, managedBy }))]);
}

/** In the tenant's transaction. */
export async function countOwners(sql: Sql, tenantId: string): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    `select count(*)::integer as count from memberships where tenant_id = $1 and role = 'owner'`,
    [tenantId],
  );
  return rows[0]?.count ?? 0;
}

/** In the tenant's transaction. */
export async function countMembers(sql: Sql, tenantId: string): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    'select count(*)::integer as count from memberships where tenant_id = $1',
    [tenantId],
  );
  return rows[0]?.count ?? 0;
}

/** In the tenant's transaction. */
export async function updateRole(
  sql: Sql,
  { tenantId, accountId, role }: { tenantId: string; accountId: string; role: string },
): Promise<void> {
  await sql.query('update memberships set role = $3 where tenant_id = $1 and account_id = $2', [
    tenantId,
    accountId,
    role,
  ]);
}

/** In the tenant's transaction; the person's sessions in it go with the membership. @returns whether there was one */
export async function deleteMembership(sql: Sql, tenantId: string, accountId: string): Promise<boolean> {
  const { rowCount } = await sql.query('delete from memberships where tenant_id = $1 and account_id = $2', [
    tenantId,
    accountId,
  ]);
  return rowCount === 1;
}

export interface OwnTenantRow {
  tenantId: string;
  name: string;
  role: string;
}

/** In an account transaction: the tenants that the account belongs to, by name; at most `limit`. */
export async function listOwnTenants(sql: Sql, accountId: string, limit: number): Promise<OwnTenantRow[]> {
  const { rows } = await sql.query<OwnTenantRow>(
    `
      select t.tenant_id as "tenantId", t.name, m.role
      from memberships m
      join tenants t on t.tenant_id = m.tenant_id
      where m.account_id = $1
      order by lower(t.name), t.tenant_id
      limit $2
    `,
    [accountId, limit],
  );
  return rows;
}

/** In an account transaction: where the next login leads. */
export async function rememberTenant(sql: Sql, accountId: string, tenantId: string): Promise<void> {
  await sql.query('update accounts set last_tenant_id = $2 where account_id = $1', [accountId, tenantId]);
}

/** In an account transaction: whether the password is still the one of this hash. */
export async function isPasswordOf(sql: Sql, accountId: string, argon2id: string): Promise<boolean> {
  const { rowCount } = await sql.query('select 1 from account_passwords where account_id = $1 and argon2id = $2', [
    accountId,
    argon2id,
  ]);
  return rowCount === 1;
}
