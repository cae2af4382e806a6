// SQL of tenants and of the one row that says that the first start is complete.
import type { Sql } from '../database.ts';

export interface TenantRow {
  tenantId: string;
  name: string;
  /** Days that telemetry is kept: 1, 7, 30, 90 or 365. */
  retentionClass: number;
  /** null = the installation's default. */
  tracesPerDay: number | null;
  /** null = the installation's default. */
  requestsPerHour: number | null;
  createdAt: Date;
}

/** From here on the transaction sees and writes rows of this tenant, and no more of the one before. */
export async function actAsTenant(sql: Sql, tenantId: string): Promise<void> {
  await sql.query(`select set_config('app.tenant', $1, true)`, [tenantId]);
}

/** `retentionClass` is one of the days that `TenantRow` names; 7 when none is given. */
export async function insertTenant(
  sql: Sql,
  { tenantId, name, retentionClass = 7 }: { tenantId: string; name: string; retentionClass?: number | undefined },
): Promise<void> {
  await sql.query(
    `
      insert into tenants (tenant_id, name, retention_class)
      values ($1, $2, $3)
    `,
    [tenantId, name, retentionClass],
  );
}

/** The tenant of the transaction, or undefined when it does not exist. */
export async function findTenant(sql: Sql, tenantId: string): Promise<TenantRow | undefined> {
  const { rows } = await sql.query<TenantRow>(
    `
      select
        tenant_id as "tenantId",
        name,
        retention_class as "retentionClass",
        traces_per_day as "tracesPerDay",
        requests_per_hour as "requestsPerHour",
        created_at as "createdAt"
      from tenants
      where tenant_id = $1
    `,
    [tenantId],
  );
  return rows[0];
}

export async function updateTenant(
  sql: Sql,
  tenantId: string,
  change: { name: string | undefined; retentionClass: number | undefined },
): Promise<void> {
  await sql.query(
    `
      update tenants
      set
        name = coalesce($2, name),
        retention_class = coalesce($3, retention_class)
      where tenant_id = $1
    `,
    [tenantId, change.name ?? null, change.retentionClass ?? null],
  );
}

/** Claims the first start for a tenant; false when the installation is complete already. */
export async function claimInstallation(sql: Sql, tenantId: string): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      insert into installation (tenant_id)
      values ($1)
      on conflict do nothing
    `,
    [tenantId],
  );
  return rowCount === 1;
}

/** The tenant made by the first start, or undefined before it. */
export async function installedTenant(sql: Sql): Promise<string | undefined> {
  const { rows } = await sql.query<{ tenantId: string }>(`
    select tenant_id as "tenantId"
    from installation
  `);
  return rows[0]?.tenantId;
}

/** As the owner: the oldest first, at most 10,000. */
export async function listTenants(sql: Sql): Promise<Array<{ tenantId: string; name: string; createdAt: Date }>> {
  const { rows } = await sql.query<{ tenantId: string; name: string; createdAt: Date }>(`
    select tenant_id as "tenantId", name, created_at as "createdAt"
    from tenants
    order by created_at, tenant_id
    limit 10000
  `);
  return rows;
}
