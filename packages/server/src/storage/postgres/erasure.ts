// SQL of erasing a tenant. As the owner with `app.tenant` set: the tenant's own policies are what lets rows go.
import pg from 'pg';
import type { Sql } from '../database.ts';

/** Tables whose rows go, those that refer to others first. A test finds a table of tenants that is neither here nor kept. */
export const ERASED_TABLES = [
  'sessions',
  'invitations',
  'oidc_identities',
  'oidc_providers',
  'api_keys',
  'service_accounts',
  'revoked_tokens',
  'memberships',
  'published_photos',
  'protections',
  'photos',
  'watermark_keys',
  'tenant_trust_anchors',
  'idempotency',
  'scores',
  'log_records',
  'metric_points',
  'metric_series',
  'content_blocks',
  'spans',
  'traces',
  'rollups',
  'usage',
  'price_overrides',
  'recosts',
  'redaction_rules',
  'redaction_hits',
  'tenant_reencryptions',
] as const;

/** What a certificate says of each. */
export const KEPT_TABLES: ReadonlyMap<string, string> = new Map([
  ['tenants', 'one row with the id of the tenant; its name was removed'],
  ['tenant_keys', 'numbers and dates of its keys, without bytes'],
  ['tenant_erasures', 'this erasure'],
  ['audit', 'the audit chain: who did what when, without content, so that the chain can still be checked'],
  ['log_entries', 'entries of the transparency log: ids and hashes of photographs, which are public'],
  ['installation', 'the id of the first tenant'],
]);

export interface ErasureRow {
  tenantId: string;
  erasureId: string;
  requestedAt: Date;
  /** Since the keys were destroyed. */
  ageMs: number;
  keyVersions: number[];
  removed: Record<string, number>;
  finishedAt: Date | null;
  certificate: string | null;
}

const ERASURE = `
  select
    tenant_id as "tenantId", erasure_id as "erasureId", requested_at as "requestedAt", key_versions as "keyVersions",
    (1000 * extract(epoch from clock_timestamp() - requested_at))::float8 as "ageMs",
    removed, finished_at as "finishedAt", certificate
  from tenant_erasures
`;

/** In the tenant's transaction, or in a look-up by the id of the erasure. */
export async function findErasure(
  sql: Sql,
  by: { tenantId: string } | { erasureId: string },
): Promise<ErasureRow | undefined> {
  const isTenant = 'tenantId' in by;
  const { rows } = await sql.query<ErasureRow>(`${ERASURE} where ${isTenant ? 'tenant_id' : 'erasure_id'} = $1`, [
    isTenant ? by.tenantId : by.erasureId,
  ]);
  return rows[0];
}

/** As the owner: the oldest first, at most 100. */
export async function unfinishedErasures(sql: Sql): Promise<ErasureRow[]> {
  const { rows } = await sql.query<ErasureRow>(
    `${ERASURE} where finished_at is null order by requested_at, tenant_id limit 100`,
  );
  return rows;
}

/** Destroys every key of the tenant, and keeps the numbers; one that has none gets a destroyed first one: none is made again. */
export async function shredTenantKeys(sql: Sql, tenantId: string): Promise<number[]> {
  await sql.query(
    `
      insert into tenant_keys (tenant_id, version, wrapped, state, destroyed_at)
      values ($1, 1, '', 'destroyed', clock_timestamp())
      on conflict do nothing
    `,
    [tenantId],
  );
  const { rows } = await sql.query<{ version: number }>(
    `
      update tenant_keys
      set state = 'destroyed', wrapped = '', destroyed_at = coalesce(destroyed_at, clock_timestamp())
      where tenant_id = $1
      returning version
    `,
    [tenantId],
  );
  return rows.map(({ version }) => version).toSorted((a, b) => a - b);
}

/** As the tenant: its name goes, memberships, and people who belong to no other tenant. Counts them to the erasure. */
export async function removePeople(sql: Sql, tenantId: string): Promise<void> {
  await sql.query(`update tenants set name = 'erased' where tenant_id = $1`, [tenantId]);
  const { rows } = await sql.query<{ accountId: string }>(
    `delete from memberships where tenant_id = $1 returning account_id as "accountId"`,
    [tenantId],
  );
  // somebody whom single sign-on brought and who was removed has no membership any more
  const managed = await sql.query<{ accountId: string }>(
    'select account_id as "accountId" from accounts where managed_by = $1',
    [tenantId],
  );
  let accounts = 0;
  for (const accountId of new Set([...rows, ...managed.rows].map((row) => row.accountId))) {
    // policies show an account and all its memberships to itself alone
    await sql.query(`select set_config('app.account', $1, true)`, [accountId]);
    const { rowCount } = await sql.query(
      'delete from accounts where account_id = $1 and not exists (select from memberships where account_id = $1)',
      [accountId],
    );
    accounts += rowCount;
  }
  await sql.query(`select set_config('app.account', '', true)`);
  await sql.query('update tenant_erasures set removed = removed || $2::jsonb where tenant_id = $1', [
    tenantId,
    { accounts, memberships: rows.length },
  ]);
}

export async function insertErasure(
  sql: Sql,
  erasure: { tenantId: string; erasureId: string; keyVersions: readonly number[] },
): Promise<void> {
  await sql.query('insert into tenant_erasures (tenant_id, erasure_id, key_versions) values ($1, $2, $3)', [
    erasure.tenantId,
    erasure.erasureId,
    [...erasure.keyVersions],
  ]);
}

/** Whose rows lie in a partition per day and class of retention. Only through the table itself do policies let rows go. */
const BY_DAY = new Set<string>(['content_blocks', 'log_records', 'metric_points', 'spans']);

/** As the tenant: removes at most `limit` rows of a table and counts them to it. 0: there are none. */
export async function removeRows(sql: Sql, tenantId: string, table: string, limit: number): Promise<number> {
  const name = pg.escapeIdentifier(table);
  const partition = BY_DAY.has(table) ? await anyPartition(sql, tenantId, name) : [];
  if (partition === undefined) return 0;
  const rows = `tenant_id = $1${partition.length === 0 ? '' : ' and day = $3::date and retention_class = $4::smallint'}`;
  const { rowCount } = await sql.query(
    `delete from ${name} where ${rows} and ctid = any (array(select ctid from ${name} where ${rows} limit $2))`,
    [tenantId, limit, ...partition],
  );
  if (rowCount === 0) return 0;
  await sql.query(
    `
      update tenant_erasures
      set removed = jsonb_set(removed, array[$2], to_jsonb(coalesce((removed ->> $2)::bigint, 0) + $3))
      where tenant_id = $1
    `,
    [tenantId, table, rowCount],
  );
  return rowCount;
}

/** Day and class of some row of the tenant: one partition is emptied at a time, where a place on disk names one row. */
async function anyPartition(sql: Sql, tenantId: string, name: string): Promise<[string, number] | undefined> {
  const { rows } = await sql.query<{ day: string; retentionClass: number }>(
    `select day::text, retention_class as "retentionClass" from ${name} where tenant_id = $1 limit 1`,
    [tenantId],
  );
  return rows[0] && [rows[0].day, rows[0].retentionClass];
}

export async function finishErasure(
  sql: Sql,
  tenantId: string,
  { finishedAt, certificate }: { finishedAt: Date; certificate: string },
): Promise<void> {
  await sql.query(
    'update tenant_erasures set finished_at = $2, certificate = $3 where tenant_id = $1 and finished_at is null',
    [tenantId, finishedAt, certificate],
  );
}
