// SQL of API keys: rows hold the peppered hash, never the key.
import type { Sql } from '../database.ts';

export interface ApiKeyRow {
  tenantId: string;
  keyId: string;
  name: string;
  /** The first characters, for people to tell keys apart. */
  prefix: string;
  keyHash: string;
  pepperVersion: number;
  scopes: string[];
  createdAt: Date;
  createdBy: string;
  expiresAt: Date | null;
  revokedAt: Date | null;
  lastUsedAt: Date | null;
  /** The key that was made in its place; this one ends soon or has ended. */
  replacedBy: string | null;
}

const COLUMNS = `
  tenant_id as "tenantId",
  key_id as "keyId",
  name,
  prefix,
  key_hash as "keyHash",
  pepper_version as "pepperVersion",
  scopes,
  created_at as "createdAt",
  created_by as "createdBy",
  expires_at as "expiresAt",
  revoked_at as "revokedAt",
  last_used_at as "lastUsedAt",
  replaced_by as "replacedBy"
`;

export async function insertApiKey(
  sql: Sql,
  key: Omit<ApiKeyRow, 'revokedAt' | 'lastUsedAt' | 'replacedBy'>,
): Promise<void> {
  await sql.query(
    `
      insert into api_keys
        (tenant_id, key_id, name, prefix, key_hash, pepper_version, scopes, created_at, created_by, expires_at)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    `,
    [
      key.tenantId,
      key.keyId,
      key.name,
      key.prefix,
      key.keyHash,
      key.pepperVersion,
      key.scopes,
      key.createdAt,
      key.createdBy,
      key.expiresAt,
    ],
  );
}

/** In a look-up transaction for exactly this hash. */
export async function findApiKey(sql: Sql, keyHash: string): Promise<ApiKeyRow | undefined> {
  const { rows } = await sql.query<ApiKeyRow>(
    `
      select ${COLUMNS}
      from api_keys
      where key_hash = $1
    `,
    [keyHash],
  );
  return rows[0];
}

/** The tenant's keys, newest first, revoked ones too; at most 1,000. */
export async function listApiKeys(sql: Sql, tenantId: string): Promise<ApiKeyRow[]> {
  const { rows } = await sql.query<ApiKeyRow>(
    `
      select ${COLUMNS}
      from api_keys
      where tenant_id = $1
      order by created_at desc, key_id
      limit 1000
    `,
    [tenantId],
  );
  return rows;
}

/** Keys of the tenant that still work. */
export async function countLiveApiKeys(sql: Sql, tenantId: string, now: Date): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    `
      select count(*)::integer as count
      from api_keys
      where tenant_id = $1 and revoked_at is null and (expires_at is null or expires_at > $2)
    `,
    [tenantId, now],
  );
  return rows[0]?.count ?? 0;
}

/** A key of the tenant, locked until the commit; undefined: none. */
export async function lockApiKey(sql: Sql, key: { tenantId: string; keyId: string }): Promise<ApiKeyRow | undefined> {
  const { rows } = await sql.query<ApiKeyRow>(
    `
      select ${COLUMNS}
      from api_keys
      where tenant_id = $1 and key_id = $2
      for no key update
    `,
    [key.tenantId, key.keyId],
  );
  return rows[0];
}

/** From `endsAt` on the key is refused; `replacedBy` is the one made in its place. */
export async function replaceApiKey(
  sql: Sql,
  key: { tenantId: string; keyId: string; endsAt: Date; replacedBy: string },
): Promise<void> {
  await sql.query(
    `
      update api_keys
      set expires_at = $3, replaced_by = $4
      where tenant_id = $1 and key_id = $2
    `,
    [key.tenantId, key.keyId, key.endsAt, key.replacedBy],
  );
}

/** The same key under another pepper; nothing when it is another hash already. */
export async function rehashApiKey(
  sql: Sql,
  key: { tenantId: string; keyId: string; before: string; keyHash: string; pepperVersion: number },
): Promise<void> {
  await sql.query(
    `
      update api_keys
      set key_hash = $4, pepper_version = $5
      where tenant_id = $1 and key_id = $2 and key_hash = $3
    `,
    [key.tenantId, key.keyId, key.before, key.keyHash, key.pepperVersion],
  );
}

/** Revokes for good; the hash of the key that was or is revoked, undefined when the tenant has no such key. */
export async function revokeApiKey(
  sql: Sql,
  key: { tenantId: string; keyId: string; at: Date },
): Promise<{ keyHash: string; name: string } | undefined> {
  const { rows } = await sql.query<{ keyHash: string; name: string }>(
    `
      update api_keys
      set revoked_at = coalesce(revoked_at, $3)
      where tenant_id = $1 and key_id = $2
      returning key_hash as "keyHash", name
    `,
    [key.tenantId, key.keyId, key.at],
  );
  return rows[0];
}

export async function touchApiKey(sql: Sql, key: { tenantId: string; keyId: string; at: Date }): Promise<void> {
  await sql.query(
    `
      update api_keys
      set last_used_at = $3
      where tenant_id = $1 and key_id = $2
    `,
    [key.tenantId, key.keyId, key.at],
  );
}
