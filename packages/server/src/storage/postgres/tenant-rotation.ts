// SQL of rotating tenants' data keys: whose is due, which version is superseded, which is destroyed. Never a key in clear.
import type { Sql } from '../database.ts';

/** In a tenant transaction, until its end: whoever changes the versions of a tenant does so alone. */
export async function lockTenantKeys(sql: Sql, tenantId: string): Promise<void> {
  await sql.query(`select pg_advisory_xact_lock(hashtextextended('tenant-keys ' || $1, 0))`, [tenantId]);
}

export interface TenantKeyAge {
  tenantId: string;
  version: number;
  ageMs: number;
  seals: number;
}

/** As the owner: tenants whose newest version is at least so old or sealed so often, the oldest first. At most `limit`. */
export async function agedTenantKeys(
  sql: Sql,
  { ageMs, seals, limit }: { ageMs: number; seals: number; limit: number },
): Promise<TenantKeyAge[]> {
  const { rows } = await sql.query<TenantKeyAge>(
    `
      select
        tenant_id as "tenantId", version, seals::float8 as seals,
        (1000 * extract(epoch from clock_timestamp() - activated_at))::float8 as "ageMs"
      from (
        select distinct on (tenant_id) tenant_id, version, seals, activated_at
        from tenant_keys
        where state = 'active'
        order by tenant_id, version desc
      ) as newest
      where activated_at <= clock_timestamp() - $1 * interval '1 millisecond' or seals >= $2::float8
      order by activated_at
      limit $3
    `,
    [ageMs, seals, limit],
  );
  return rows;
}

/** As the owner: tenants that have a version older than the one that is in use. At most `limit`, any of them. */
export async function tenantsWithOldKeys(sql: Sql, limit: number): Promise<string[]> {
  const { rows } = await sql.query<{ tenantId: string }>(
    `
      select distinct old.tenant_id as "tenantId"
      from tenant_keys old
      where old.state in ('active', 'decrypt_only')
        and exists (
          select from tenant_keys newer
          where newer.tenant_id = old.tenant_id and newer.version > old.version
            and newer.state = 'active' and newer.activated_at <= clock_timestamp()
        )
      order by 1
      limit $1
    `,
    [limit],
  );
  return rows.map(({ tenantId }) => tenantId);
}

/** In a tenant transaction: versions before the newest one in use seal no more. Answers their numbers. */
export async function supersedeTenantKeys(sql: Sql, tenantId: string): Promise<number[]> {
  const { rows } = await sql.query<{ version: number }>(
    `
      update tenant_keys
      set state = 'decrypt_only', superseded_at = clock_timestamp()
      where tenant_id = $1 and state = 'active'
        and version < (
          select max(version) from tenant_keys
          where tenant_id = $1 and state = 'active' and activated_at <= clock_timestamp()
        )
      returning version
    `,
    [tenantId],
  );
  return rows.map(({ version }) => version);
}

/** What sealing again is about; undefined when there is nothing old. */
export interface OldKeys {
  /** The version in use. */
  target: number;
  old: number[];
  /** Since the last of the old ones seals no more. */
  supersededForMs: number;
}

/** In a tenant transaction. */
export async function oldTenantKeys(sql: Sql, tenantId: string): Promise<OldKeys | undefined> {
  const { rows } = await sql.query<OldKeys>(
    `
      select
        (
          select max(version) from tenant_keys
          where tenant_id = $1 and state = 'active' and activated_at <= clock_timestamp()
        ) as target,
        array_agg(version order by version) as old,
        (1000 * extract(epoch from clock_timestamp() - max(superseded_at)))::float8 as "supersededForMs"
      from tenant_keys
      where tenant_id = $1 and state = 'decrypt_only'
      having count(*) > 0
    `,
    [tenantId],
  );
  return rows[0];
}

/** In a tenant transaction: nothing opens what these versions sealed, their wrapped bytes are gone. */
export async function destroyTenantKeys(sql: Sql, tenantId: string, versions: readonly number[]): Promise<void> {
  await sql.query(
    `
      update tenant_keys
      set state = 'destroyed', wrapped = '', destroyed_at = clock_timestamp()
      where tenant_id = $1 and version = any ($2::int[]) and state = 'decrypt_only'
    `,
    [tenantId, [...versions]],
  );
}

export interface TenantKeyDates {
  version: number;
  state: 'coming' | 'active' | 'decrypt_only' | 'destroyed';
  activatedAt: Date;
  supersededAt: Date | null;
  destroyedAt: Date | null;
  seals: number;
}

/** In a tenant transaction: every version that ever was, newest first; the root is none. At most 1,000. */
export async function listTenantKeyDates(sql: Sql, tenantId: string): Promise<TenantKeyDates[]> {
  const { rows } = await sql.query<TenantKeyDates>(
    `
      select
        version, seals::float8 as seals,
        case when state = 'active' and activated_at > clock_timestamp() then 'coming' else state end as state,
        activated_at as "activatedAt", superseded_at as "supersededAt", destroyed_at as "destroyedAt"
      from tenant_keys
      where tenant_id = $1 and version > 0
      order by version desc
      limit 1000
    `,
    [tenantId],
  );
  return rows;
}
