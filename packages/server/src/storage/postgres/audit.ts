// SQL of the audit log: insert and read; the role of the application can do nothing else to it.
import type { Sql } from '../database.ts';

export interface AuditRow {
  tenantId: string;
  actor: string;
  action: string;
  object: string;
  outcome: string;
  requestId: string;
  detail: Record<string, unknown>;
}

export async function insertAudit(sql: Sql, line: AuditRow): Promise<void> {
  await sql.query(
    `
      insert into audit (tenant_id, actor, action, object, outcome, request_id, detail)
      values ($1, $2, $3, $4, $5, $6, $7)
    `,
    [line.tenantId, line.actor, line.action, line.object, line.outcome, line.requestId, line.detail],
  );
}

/** In a tenant transaction: the newest lines first. */
export async function listAudit(
  sql: Sql,
  tenantId: string,
  limit: number,
): Promise<Array<Omit<AuditRow, 'tenantId'> & { seq: string; at: Date }>> {
  const { rows } = await sql.query<Omit<AuditRow, 'tenantId'> & { seq: string; at: Date }>(
    `
      select seq, at, actor, action, object, outcome, request_id as "requestId", detail
      from audit
      where tenant_id = $1
      order by seq desc
      limit $2
    `,
    [tenantId, limit],
  );
  return rows;
}
