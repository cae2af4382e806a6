// SQL of redaction: versions of a tenant's rules, and daily counts of what each rule found.
import type { Sql } from '../database.ts';

export interface RulesRow {
  version: number;
  rules: unknown;
  changedAt: Date;
  changedBy: string;
}

/** The version in force; undefined when the tenant never changed anything. */
export async function readRules(sql: Sql, tenantId: string): Promise<RulesRow | undefined> {
  const { rows } = await sql.query<RulesRow>(
    `
      select version, rules, changed_at as "changedAt", changed_by as "changedBy"
      from redaction_rules
      where tenant_id = $1
      order by version desc
      limit 1
    `,
    [tenantId],
  );
  return rows[0];
}

/** False when somebody else made this version first. */
export async function insertRules(
  sql: Sql,
  tenantId: string,
  { version, rules, changedBy }: { version: number; rules: unknown; changedBy: string },
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      insert into redaction_rules (tenant_id, version, rules, changed_by)
      values ($1, $2, $3::jsonb, $4)
      on conflict do nothing
    `,
    [tenantId, version, JSON.stringify(rules), changedBy],
  );
  return rowCount === 1;
}

export interface HitCount {
  day: string;
  ruleId: string;
  hits: number;
}

export async function addHits(sql: Sql, tenantId: string, counts: readonly HitCount[]): Promise<void> {
  await sql.query(
    `
      insert into redaction_hits as total (tenant_id, day, rule_id, hits)
      select $1, day, rule_id, hits
      from unnest($2::date[], $3::text[], $4::bigint[]) as added (day, rule_id, hits)
      on conflict (tenant_id, day, rule_id) do update set hits = total.hits + excluded.hits
    `,
    [tenantId, counts.map(({ day }) => day), counts.map(({ ruleId }) => ruleId), counts.map(({ hits }) => hits)],
  );
}

/** Per day and rule from `since` on, oldest first. */
export async function readHits(sql: Sql, tenantId: string, since: string): Promise<HitCount[]> {
  const { rows } = await sql.query<{ day: string; ruleId: string; hits: string }>(
    `
      select day::text, rule_id as "ruleId", hits::text
      from redaction_hits
      where tenant_id = $1 and day >= $2::date
      order by day, rule_id
    `,
    [tenantId, since],
  );
  return rows.map((row) => ({ ...row, hits: Number(row.hits) }));
}

export async function forgetHits(sql: Sql, tenantId: string, before: string): Promise<void> {
  await sql.query('delete from redaction_hits where tenant_id = $1 and day < $2::date', [tenantId, before]);
}
