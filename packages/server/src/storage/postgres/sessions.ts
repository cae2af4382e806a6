// SQL of sessions: rows hold the HMAC of the cookie, never the cookie.
import type { Sql } from '../database.ts';
import { sealsOf } from '../seals.ts';
import { actAsTenant } from './tenants.ts';
import { actAsAccount, openedPerson, type SealedPerson } from './accounts.ts';

export interface SessionRow {
  tenantId: string;
  sessionHash: string;
  accountId: string;
  createdAt: Date;
  lastSeenAt: Date;
  expiresAt: Date;
  /** Such as "Firefox on Linux"; null when it was not known. */
  device: string | null;
  /** The identity provider of the tenant that vouched for the person; null: a password or a passkey. */
  providerId: string | null;
}

export interface SessionPerson {
  email: string;
  name: string;
  role: string;
  mustChangePassword: boolean;
}

const SESSION_COLUMNS = `
  tenant_id as "tenantId",
  session_hash as "sessionHash",
  account_id as "accountId",
  created_at as "createdAt",
  last_seen_at as "lastSeenAt",
  expires_at as "expiresAt",
  device,
  provider_id as "providerId"
`;

export async function insertSession(sql: Sql, session: SessionRow): Promise<void> {
  await sql.query(
    `
      insert into sessions
        (tenant_id, session_hash, account_id, created_at, last_seen_at, expires_at, device, provider_id)
      values ($1, $2, $3, $4, $5, $6, $7, $8)
    `,
    [
      session.tenantId,
      session.sessionHash,
      session.accountId,
      session.createdAt,
      session.lastSeenAt,
      session.expiresAt,
      session.device,
      session.providerId,
    ],
  );
}

/** In a look-up transaction for exactly this hash; reads the person behind it as a member of the session's tenant. */
export async function findSession(sql: Sql, sessionHash: string): Promise<(SessionRow & SessionPerson) | undefined> {
  const { rows } = await sql.query<SessionRow>(
    `
      select ${SESSION_COLUMNS}
      from sessions
      where session_hash = $1
    `,
    [sessionHash],
  );
  const session = rows[0];
  if (session === undefined) return undefined;
  await actAsTenant(sql, session.tenantId);
  const seal = await sealsOf(sql).people();
  const people = await sql.query<SealedPerson & Omit<SessionPerson, 'email' | 'name'>>(
    `
      select
        a.account_id as "accountId",
        a.email_sealed as "emailSealed",
        a.name_sealed as "nameSealed",
        m.role,
        a.must_change_password as "mustChangePassword"
      from memberships m
      join accounts a on a.account_id = m.account_id
      where m.tenant_id = $1 and m.account_id = $2
    `,
    [session.tenantId, session.accountId],
  );
  const person = people.rows[0];
  return person && { ...session, ...openedPerson(seal, person) };
}

export async function touchSession(
  sql: Sql,
  session: { tenantId: string; sessionHash: string; seenAt: Date },
): Promise<void> {
  await sql.query(
    `
      update sessions
      set last_seen_at = $3
      where tenant_id = $1 and session_hash = $2
    `,
    [session.tenantId, session.sessionHash, session.seenAt],
  );
}

/**
 * From here to the commit nobody else opens, exchanges or ends sessions of this person, in whatever tenant: whoever ends all
 * of them must not miss one that is just being made. Taken before an audit line, whose lock is the tenant's.
 */
export async function lockSessionsOf(sql: Sql, accountId: string): Promise<void> {
  await actAsAccount(sql, accountId);
  await sql.query('select 1 from accounts where account_id = $1 for no key update', [accountId]);
  await actAsAccount(sql, '');
}

/** @returns whether there was one */
export async function deleteSession(sql: Sql, tenantId: string, sessionHash: string): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      delete from sessions
      where tenant_id = $1 and session_hash = $2
    `,
    [tenantId, sessionHash],
  );
  return rowCount === 1;
}

/**
 * Sessions of an account that still run, the last used first: in the tenant's transaction those in the tenant; acting as the
 * account, with no tenant named, those everywhere.
 */
export async function listSessions(
  sql: Sql,
  of: { tenantId: string | null; accountId: string; now: Date; idleSince: Date; limit: number },
): Promise<SessionRow[]> {
  const { rows } = await sql.query<SessionRow>(
    `
      select ${SESSION_COLUMNS}
      from sessions
      where ($1::uuid is null or tenant_id = $1) and account_id = $2 and expires_at > $3 and last_seen_at > $4
      order by last_seen_at desc, session_hash
      limit $5
    `,
    [of.tenantId, of.accountId, of.now, of.idleSince, of.limit],
  );
  return rows;
}

/** Every session of an account but one, where `listSessions` finds them. @returns how many there were */
export async function deleteOtherSessions(
  sql: Sql,
  { tenantId, accountId, kept }: { tenantId: string | null; accountId: string; kept: string | undefined },
): Promise<number> {
  const { rowCount } = await sql.query(
    `
      delete from sessions
      where ($1::uuid is null or tenant_id = $1) and account_id = $2 and session_hash is distinct from $3
    `,
    [tenantId, accountId, kept ?? null],
  );
  return rowCount ?? 0;
}

/** Sessions of the tenant that can never be used again. */
export async function deleteDeadSessions(
  sql: Sql,
  tenantId: string,
  dead: { expiredBefore: Date; idleSince: Date },
): Promise<void> {
  await sql.query(
    `
      delete from sessions
      where tenant_id = $1 and (expires_at <= $2 or last_seen_at <= $3)
    `,
    [tenantId, dead.expiredBefore, dead.idleSince],
  );
}

/** In the tenant's transaction: every session that an identity provider opened. */
export async function deleteSessionsOfProvider(sql: Sql, tenantId: string, providerId: string): Promise<void> {
  await sql.query('delete from sessions where tenant_id = $1 and provider_id = $2', [tenantId, providerId]);
}
