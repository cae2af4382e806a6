// SQL of what the program noticed about itself; the owner's alone.
import type { Sql } from '../database.ts';

export interface AlertRow {
  kind: string;
  about: string;
  /** Facts without content, secrets or personal data. */
  detail: Record<string, unknown>;
  /** Whose people are shown it; without one it is about the installation as a whole. */
  tenantId?: string | undefined;
}

export interface StoredAlert extends AlertRow {
  id: string;
  at: Date;
}

const STORED = `alert_id as id, kind, about, at, detail, of_tenant as "tenantId"`;
type Read = Omit<StoredAlert, 'tenantId'> & { tenantId: string | null };
const stored = (rows: Read[]): StoredAlert[] =>
  rows.map(({ tenantId, ...row }) => ({ ...row, ...(tenantId === null ? {} : { tenantId }) }));

/** As the owner. @returns whether it is the first of its kind about this in the hour. */
export async function insertAlert(sql: Sql, { kind, about, detail, tenantId }: AlertRow): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      insert into security_alerts (kind, about, hour, detail, of_tenant)
      values ($1, $2, date_trunc('hour', now()), $3, $4)
      on conflict do nothing
    `,
    [kind, about, detail, tenantId],
  );
  return rowCount > 0;
}

/** As the owner: whether there ever was one of this kind about this with these facts. */
export async function wasAlerted(sql: Sql, { kind, about, detail }: AlertRow): Promise<boolean> {
  const { rowCount } = await sql.query(
    'select 1 from security_alerts where kind = $1 and about = $2 and detail = $3::jsonb limit 1',
    [kind, about, detail],
  );
  return rowCount > 0;
}

/** As the owner: the newest first. */
export async function listAlerts(sql: Sql, limit: number): Promise<StoredAlert[]> {
  const { rows } = await sql.query<Read>(`select ${STORED} from security_alerts order by at desc limit $1`, [limit]);
  return stored(rows);
}

/** As the owner: those about a tenant; for the tenant of the first start also those about the installation. */
export async function alertsOfTenant(sql: Sql, tenantId: string, limit: number): Promise<StoredAlert[]> {
  const { rows } = await sql.query<Read>(
    `
      select ${STORED}
      from security_alerts
      where of_tenant = $1
        or (of_tenant is null and exists (select from installation where tenant_id = $1))
      order by at desc
      limit $2
    `,
    [tenantId, limit],
  );
  return stored(rows);
}

/** As the owner: the oldest first of those that nobody was told, not older than a day: a webhook that is set up late is not flooded. */
export async function untoldAlerts(sql: Sql, limit: number): Promise<StoredAlert[]> {
  const { rows } = await sql.query<Read>(
    `
      select ${STORED}
      from security_alerts
      where told_at is null and at > now() - interval '1 day'
      order by at
      limit $1
    `,
    [limit],
  );
  return stored(rows);
}

export async function markTold(sql: Sql, id: string): Promise<void> {
  await sql.query('update security_alerts set told_at = now() where alert_id = $1', [id]);
}
