// SQL of what the program noticed about itself; the owner's alone.
import type { Sql } from '../database.ts';

export interface AlertRow {
  kind: string;
  about: string;
  /** Facts without content, secrets or personal data. */
  detail: Record<string, unknown>;
}

/** As the owner. @returns whether it is the first of its kind about this in the hour. */
export async function insertAlert(sql: Sql, { kind, about, detail }: AlertRow): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      insert into security_alerts (kind, about, hour, detail)
      values ($1, $2, date_trunc('hour', now()), $3)
      on conflict do nothing
    `,
    [kind, about, detail],
  );
  return rowCount > 0;
}

/** As the owner: the newest first. */
export async function listAlerts(sql: Sql, limit: number): Promise<Array<AlertRow & { at: Date }>> {
  const { rows } = await sql.query<AlertRow & { at: Date }>(
    'select kind, about, at, detail from security_alerts order by at desc limit $1',
    [limit],
  );
  return rows;
}
