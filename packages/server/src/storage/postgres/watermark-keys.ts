// Which versions of a tenant's watermark key mark and read. No key material: that is derived.
import type { Sql } from '../database.ts';

export interface WatermarkKeyRow {
  version: number;
  state: 'active' | 'reading' | 'retired';
  activatedAt: Date;
  retiredAt: Date | null;
}

/** In a tenant transaction: newest first. */
export async function listWatermarkKeys(sql: Sql, tenantId: string): Promise<WatermarkKeyRow[]> {
  const { rows } = await sql.query<WatermarkKeyRow>(
    `select version, state, activated_at as "activatedAt", retired_at as "retiredAt"
       from watermark_keys where tenant_id = $1 order by version desc`,
    [tenantId],
  );
  return rows;
}

/** In a tenant transaction, until its end: whoever changes versions does so alone, and reads what the one before left. */
export async function lockWatermarkKeys(sql: Sql, tenantId: string): Promise<void> {
  await sql.query(`select pg_advisory_xact_lock(hashtextextended('watermark-keys ' || $1, 0))`, [tenantId]);
}

/** In a tenant transaction. Does nothing when the version exists. */
export async function insertWatermarkKey(sql: Sql, tenantId: string, version: number): Promise<void> {
  await sql.query(
    `insert into watermark_keys (tenant_id, version, state) values ($1, $2, 'active') on conflict do nothing`,
    [tenantId, version],
  );
}

/** In a tenant transaction: what marked before reads from now on. */
export async function supersedeWatermarkKeys(sql: Sql, tenantId: string): Promise<void> {
  await sql.query(`update watermark_keys set state = 'reading' where tenant_id = $1 and state = 'active'`, [tenantId]);
}

/** In a tenant transaction. False when the version is active, retired or not there. */
export async function retireWatermarkKey(sql: Sql, tenantId: string, version: number): Promise<boolean> {
  const { rowCount } = await sql.query(
    `update watermark_keys set state = 'retired', retired_at = clock_timestamp()
      where tenant_id = $1 and version = $2 and state = 'reading'`,
    [tenantId, version],
  );
  return rowCount === 1;
}
