// SQL of wrapped keys: tenants' data keys, the installation's secrets, the token signing keys. Never a key in clear.
import type { Sql } from '../database.ts';

export interface WrappedKeyRow {
  /** 0: the root of what is derived. */
  version: number;
  /** Empty once destroyed. */
  wrapped: Buffer;
  state: 'root' | 'active' | 'decrypt_only' | 'destroyed';
  /** Since it came into use; negative before. */
  ageMs: number;
  seals: number;
}

/** In a tenant transaction: every version of its data key, newest first, the root last. */
export async function listTenantKeys(sql: Sql, tenantId: string): Promise<WrappedKeyRow[]> {
  const { rows } = await sql.query<WrappedKeyRow>(
    `
      select
        version, wrapped, state, seals::float8 as seals,
        (1000 * extract(epoch from clock_timestamp() - activated_at))::float8 as "ageMs"
      from tenant_keys
      where tenant_id = $1
      order by version desc
    `,
    [tenantId],
  );
  return rows;
}

/** In a tenant transaction. Does nothing when the version exists: the caller reads again and takes what is there. */
export async function insertTenantKey(
  sql: Sql,
  key: { tenantId: string; version: number; wrapped: Buffer; settledInMs: number },
): Promise<void> {
  await sql.query(
    `
      insert into tenant_keys (tenant_id, version, wrapped, state, activated_at)
      values (
        $1, $2, $3, case when $2 = 0 then 'root' else 'active' end,
        clock_timestamp() + $4 * interval '1 millisecond'
      )
      on conflict (tenant_id, version) do nothing
    `,
    [key.tenantId, key.version, key.wrapped, key.settledInMs],
  );
}

/** In a tenant transaction: so many more seals by version. */
export async function addSeals(sql: Sql, tenantId: string, seals: ReadonlyMap<number, number>): Promise<void> {
  if (seals.size === 0) return;
  await sql.query(
    `
      update tenant_keys
      set seals = seals + n
      from unnest($2::int[], $3::bigint[]) as sent (version_sealed, n)
      where tenant_id = $1 and version = version_sealed
    `,
    [tenantId, [...seals.keys()], [...seals.values()]],
  );
}

/** As the owner: every version of one secret of the installation, newest first. */
export async function listInstallationKeys(
  sql: Sql,
  name: string,
): Promise<Array<{ version: number; wrapped: Buffer; ageMs: number }>> {
  const { rows } = await sql.query<{ version: number; wrapped: Buffer; ageMs: number }>(
    `
      select version, wrapped, (1000 * extract(epoch from clock_timestamp() - created_at))::float8 as "ageMs"
      from installation_keys
      where name = $1
      order by version desc
    `,
    [name],
  );
  return rows;
}

/** As the owner. Does nothing when the version exists, and says so. */
export async function insertInstallationKey(
  sql: Sql,
  key: { name: string; version: number; wrapped: Buffer },
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      insert into installation_keys (name, version, wrapped)
      values ($1, $2, $3)
      on conflict (name, version) do nothing
    `,
    [key.name, key.version, key.wrapped],
  );
  return rowCount === 1;
}

/** As the owner: every version of the key above all keys that there was, the one in use first. */
export async function listKekVersions(sql: Sql): Promise<Array<{ version: number; createdAt: Date }>> {
  const { rows } = await sql.query<{ version: number; createdAt: Date }>(
    'select version, created_at as "createdAt" from kek_check order by version desc',
  );
  return rows;
}

/** As the owner: every version of every secret of the installation and key of tokens, without material. */
export async function listKeyInventory(sql: Sql): Promise<Array<{ name: string; version: string; createdAt: Date }>> {
  const { rows } = await sql.query<{ name: string; version: string; createdAt: Date }>(`
    select name, version::text, created_at as "createdAt" from installation_keys
    order by name, version desc`);
  return rows;
}

export interface SigningKeyRow {
  kid: string;
  alg: string;
  publicJwk: Record<string, unknown>;
  wrappedPrivate: Buffer;
  state: 'next' | 'active' | 'retiring' | 'retired' | 'compromised';
}

// Any constant of our own: one node makes the first signing key, the others wait and read it.
const SIGNING_KEYS_LOCK = 7_340_118;

/** As the owner: held until the transaction ends. */
export async function lockSigningKeys(sql: Sql): Promise<void> {
  await sql.query('select pg_advisory_xact_lock($1)', [SIGNING_KEYS_LOCK]);
}

/** As the owner: the keys that may still verify. */
export async function listSigningKeys(sql: Sql): Promise<SigningKeyRow[]> {
  const { rows } = await sql.query<SigningKeyRow>(`
    select
      kid,
      alg,
      public_jwk as "publicJwk",
      wrapped_private as "wrappedPrivate",
      state
    from signing_keys
    where state in ('next', 'active', 'retiring')
    order by created_at, kid
  `);
  return rows;
}

/** As the owner. */
export async function insertSigningKey(sql: Sql, key: SigningKeyRow & { activatedAt: Date | null }): Promise<void> {
  await sql.query(
    `
      insert into signing_keys (kid, alg, public_jwk, wrapped_private, state, activated_at)
      values ($1, $2, $3, $4, $5, $6)
    `,
    [key.kid, key.alg, key.publicJwk, key.wrappedPrivate, key.state, key.activatedAt],
  );
}
