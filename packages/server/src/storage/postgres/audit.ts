// SQL of the audit log: insert and read; the role of the application can do nothing else to it.
import type { Sql } from '../database.ts';

export interface AuditRow {
  tenantId: string;
  position: number;
  /** RFC 3339. */
  at: string;
  actor: string;
  action: string;
  object: string;
  outcome: string;
  requestId: string | null;
  /** JSON. */
  detail: unknown;
}

/** What is asked of the log; all given ones must hold. Times are RFC 3339. */
export interface AuditFilter {
  actor?: string | undefined;
  action?: string | undefined;
  object?: string | undefined;
  outcome?: string | undefined;
  requestId?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

export interface AuditTail {
  /** The database's clock, whole milliseconds. */
  at: Date;
  /** undefined before the first line. Hash in hex. */
  head: { position: number; hash: string } | undefined;
}

/** In a tenant transaction: the end of the tenant's chain, which is the caller's alone until it commits. */
export async function auditTail(sql: Sql, tenantId: string): Promise<AuditTail> {
  const { rows } = await sql.query<{ at: Date; position: string | null; hash: string | null }>(
    `select at, place as position, encode(hash, 'hex') as hash from audit_tail($1)`,
    [tenantId],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('The end of the audit chain was asked for and is not there.');
  const { at, position, hash } = row;
  return { at, head: position === null || hash === null ? undefined : { position: Number(position), hash } };
}

export async function insertAudit(sql: Sql, line: AuditRow & { hash: Buffer; mac: Buffer }): Promise<void> {
  const { tenantId, at, actor, action, object, outcome, requestId, detail, position, hash, mac } = line;
  await sql.query(
    `
      insert into audit (tenant_id, at, actor, action, object, outcome, request_id, detail, position, hash, mac)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    `,
    [tenantId, at, actor, action, object, outcome, requestId, JSON.stringify(detail), position, hash, mac],
  );
}

const SEALED = `
  tenant_id as "tenantId", position, at, actor, action, object, outcome, request_id as "requestId", detail,
  encode(hash, 'hex') as hash, encode(mac, 'hex') as mac`;

type Read = Omit<AuditRow, 'position' | 'at'> & { position: string; at: Date; hash: string; mac: string };
export type SealedAuditRow = AuditRow & { hash: string; mac: string };

const sealed = (rows: Read[]): SealedAuditRow[] =>
  rows.map((row) => ({ ...row, position: Number(row.position), at: row.at.toISOString() }));

/** In a tenant transaction: chained lines after a place, oldest first. */
export async function readChain(sql: Sql, tenantId: string, after: number, limit: number): Promise<SealedAuditRow[]> {
  const { rows } = await sql.query<Read>(
    `
      select ${SEALED}
      from audit
      where tenant_id = $1 and position > $2
      order by position
      limit $3
    `,
    [tenantId, after, limit],
  );
  return sealed(rows);
}

/** In a tenant transaction: the hashes of chained lines after a place, oldest first, up to the first gap. */
export async function readHashes(sql: Sql, tenantId: string, after: number, limit: number): Promise<string[]> {
  const { rows } = await sql.query<{ position: string; hash: string }>(
    `
      select position, encode(hash, 'hex') as hash
      from audit
      where tenant_id = $1 and position > $2
      order by position
      limit $3
    `,
    [tenantId, after, limit],
  );
  const gap = rows.findIndex(({ position }, i) => Number(position) !== after + i + 1);
  return rows.slice(0, gap === -1 ? rows.length : gap).map(({ hash }) => hash);
}

/** In a tenant transaction: the newest lines before a place (null: from the end) that meet the filter. */
export async function searchAudit(
  sql: Sql,
  tenantId: string,
  filter: AuditFilter,
  page: { before: number | null; limit: number },
): Promise<SealedAuditRow[]> {
  const { actor, action, object, outcome, requestId, from, to } = filter;
  const { rows } = await sql.query<Read>(
    `
      select ${SEALED}
      from audit
      where tenant_id = $1 and position is not null
        and ($2::bigint is null or position < $2)
        and ($3::text is null or actor = $3)
        and ($4::text is null or action = $4)
        and ($5::text is null or object = $5)
        and ($6::text is null or outcome = $6)
        and ($7::text is null or request_id = $7)
        and ($8::timestamptz is null or at >= $8)
        and ($9::timestamptz is null or at < $9)
      order by position desc
      limit $10
    `,
    [tenantId, page.before, actor, action, object, outcome, requestId, from, to, page.limit],
  );
  return sealed(rows);
}

/** In a tenant transaction: lines that no chain holds; more than none after the first start means that one was planted. */
export async function countUnchained(sql: Sql, tenantId: string): Promise<number> {
  const { rows } = await sql.query<{ n: string }>(
    'select count(*) as n from audit where tenant_id = $1 and position is null',
    [tenantId],
  );
  return Number(rows[0]?.n ?? 0);
}

export interface ChainMeasure {
  /** Lines in the chain. */
  lines: number;
  /** The last place; as many as lines, unless some are missing. */
  last: number;
  unchained: number;
}

/** In a tenant transaction. Counts in the index of places. */
export async function measureChain(sql: Sql, tenantId: string): Promise<ChainMeasure> {
  const { rows } = await sql.query<{ lines: string; last: string; unchained: string }>(
    `
      select count(position) as lines, coalesce(max(position), 0) as last, count(*) - count(position) as unchained
      from audit
      where tenant_id = $1
    `,
    [tenantId],
  );
  const [row] = rows;
  return { lines: Number(row?.lines ?? 0), last: Number(row?.last ?? 0), unchained: Number(row?.unchained ?? 0) };
}

/** As the owner with the tenant set: lines from before the chain, in the order they were written. */
export async function readUnchained(sql: Sql, tenantId: string, limit: number) {
  const { rows } = await sql.query<Omit<Read, 'position' | 'hash' | 'mac'> & { seq: string }>(
    `
      select seq, tenant_id as "tenantId", at, actor, action, object, outcome, request_id as "requestId", detail
      from audit
      where tenant_id = $1 and position is null
      order by seq
      limit $2
    `,
    [tenantId, limit],
  );
  return rows;
}

/** As the owner with the tenant set: gives lines their place. `at` loses what is finer than a millisecond. */
export async function chainRows(
  sql: Sql,
  tenantId: string,
  rows: ReadonlyArray<{ seq: string; position: number; at: string; hash: Buffer; mac: Buffer }>,
): Promise<void> {
  await sql.query(
    `
      update audit
      set position = chained.position, at = chained.at, hash = chained.hash, mac = chained.mac
      from unnest($2::bigint[], $3::bigint[], $4::timestamptz[], $5::bytea[], $6::bytea[])
        as chained (seq, position, at, hash, mac)
      where audit.tenant_id = $1 and audit.seq = chained.seq
    `,
    [
      tenantId,
      rows.map(({ seq }) => seq),
      rows.map(({ position }) => position),
      rows.map(({ at }) => at),
      rows.map(({ hash }) => hash),
      rows.map(({ mac }) => mac),
    ],
  );
}
