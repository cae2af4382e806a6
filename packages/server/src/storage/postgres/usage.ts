// SQL of daily usage: what a tenant sent on each UTC day, counted in the transaction that stores it.
import type { Sql } from '../database.ts';

export interface UsageDelta {
  traces: number;
  spans: number;
  duplicates: number;
  replaced: number;
  bytes: number;
}

/** Adds to the day and returns how many traces it has now; the row stays locked until the transaction ends. */
export async function addUsage(sql: Sql, tenantId: string, day: string, delta: UsageDelta): Promise<number> {
  const { rows } = await sql.query<{ traces: string }>(
    `
      insert into usage as today (tenant_id, day, traces, spans, duplicates, replaced, bytes)
      values ($1, $2, $3, $4, $5, $6, $7)
      on conflict (tenant_id, day) do update set
        traces = today.traces + excluded.traces,
        spans = today.spans + excluded.spans,
        duplicates = today.duplicates + excluded.duplicates,
        replaced = today.replaced + excluded.replaced,
        bytes = today.bytes + excluded.bytes
      returning traces
    `,
    [tenantId, day, delta.traces, delta.spans, delta.duplicates, delta.replaced, delta.bytes],
    'add_usage',
  );
  return Number(rows[0]?.traces ?? 0);
}

/** How long the tenant's telemetry is kept, its own daily quota, and the traces that `day` has already. */
export async function readTerms(
  sql: Sql,
  tenantId: string,
  day: string,
): Promise<{ retentionClass: number; tracesPerDay: number | null; tracesToday: number } | undefined> {
  const { rows } = await sql.query<{ retentionClass: number; tracesPerDay: number | null; tracesToday: string }>(
    `
      select
        t.retention_class as "retentionClass",
        t.traces_per_day as "tracesPerDay",
        coalesce(u.traces, 0) as "tracesToday"
      from tenants t
      left join usage u on u.tenant_id = t.tenant_id and u.day = $2
      where t.tenant_id = $1
    `,
    [tenantId, day],
  );
  const row = rows[0];
  return row === undefined ? undefined : { ...row, tracesToday: Number(row.tracesToday) };
}

/** Takes out the days before `day`. */
export async function deleteUsage(sql: Sql, tenantId: string, day: string): Promise<void> {
  await sql.query(
    `
      delete from usage
      where tenant_id = $1 and day < $2
    `,
    [tenantId, day],
  );
}
