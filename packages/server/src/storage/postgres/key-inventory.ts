// SQL of the inventory of keys: what there is and since when. No column of it is material, wrapped or not.
import type { Sql } from '../database.ts';

export interface InstallationKeyRow {
  kind: 'root' | 'issuing-ca' | 'leaf' | 'registration' | 'time-stamping' | 'log' | 'token' | 'secret';
  /** kid, `name:version` of a secret, or what the log's origin ends in. */
  id: string;
  createdAt: Date;
  endsAt: Date | null;
  revokedAt: Date | null;
  /** Of tokens alone: the others' follows from their dates. */
  state: 'next' | 'active' | 'retiring' | 'retired' | 'compromised' | null;
}

/** As the owner: every key of the installation, by kind, the newest first. At most 1,000. */
export async function listInstallationInventory(sql: Sql): Promise<InstallationKeyRow[]> {
  const { rows } = await sql.query<InstallationKeyRow>(`
    select * from (
      select purpose as kind, kid as id, created_at as "createdAt", expires_at as "endsAt", revoked_at as "revokedAt",
        null as state
      from photo_keys
      union all
      select 'token', kid, created_at, retired_at, null, state
      from signing_keys
      union all
      -- the key's 32 bytes stand behind 12 of its form
      select 'log', encode(substring(sha256(substring(public_spki from 13)) for 16), 'hex'), created_at, null, null, null
      from log_key
      union all
      select 'secret', name || ':' || version, created_at, null, null, null
      from installation_keys
    ) keys
    order by kind, "createdAt" desc, id
    limit 1000
  `);
  return rows;
}

export interface TenantKeyRow {
  kind: 'tenant-data' | 'watermark';
  version: number;
  createdAt: Date;
  endsAt: Date | null;
  state: 'coming' | 'active' | 'decrypt_only' | 'reading' | 'retired' | 'destroyed' | 'root';
}

/** In a tenant transaction: every key of the tenant, by kind, the newest first. At most 1,000. */
export async function listTenantInventory(sql: Sql, tenantId: string): Promise<TenantKeyRow[]> {
  const { rows } = await sql.query<TenantKeyRow>(
    `
      select * from (
        select 'tenant-data' as kind, version, activated_at as "createdAt", destroyed_at as "endsAt",
          case when state = 'active' and activated_at > clock_timestamp() then 'coming' else state end as state
        from tenant_keys
        where tenant_id = $1
        union all
        select 'watermark', version, activated_at, retired_at, state
        from watermark_keys
        where tenant_id = $1
      ) keys
      order by kind, version desc
      limit 1000
    `,
    [tenantId],
  );
  return rows;
}
