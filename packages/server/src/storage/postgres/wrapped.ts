// SQL of every wrapped key at once, for the rotation of the key above them. As the owner, in one transaction.
import pg from 'pg';
import type { Sql } from '../database.ts';

/** Where wrapped keys lie; names come from a list in the program, never from outside. */
export interface WrappedPlace {
  table: string;
  column: string;
  /** Columns of the primary key → type. */
  key: Readonly<Record<string, string>>;
}

export interface WrappedRow {
  /** As PostgreSQL writes them. */
  key: Record<string, string>;
  wrapped: Buffer;
}

/** Nobody writes a key until the transaction ends; reading goes on. */
export async function lockWrapped(sql: Sql, places: readonly WrappedPlace[]): Promise<void> {
  const names = places.map(({ table }) => pg.escapeIdentifier(table));
  await sql.query(`lock table ${[...new Set(names)].toSorted().join(', ')} in share row exclusive mode`);
}

/** Keys that are there: destroyed ones have no bytes. At most `limit`, after `after` in the order of the primary key. */
export async function listWrapped(
  sql: Sql,
  { table, column, key }: WrappedPlace,
  after: Readonly<Record<string, string>> | undefined,
  limit: number,
): Promise<WrappedRow[]> {
  const columns = Object.entries(key).map(([name, type]) => ({ name: pg.escapeIdentifier(name), type }));
  const place = columns.map(({ name }) => name).join(', ');
  const bounds = columns.map(({ type }, i) => `$${i + 2}::text::${type}`).join(', ');
  const { rows } = await sql.query<WrappedRow>(
    `
      select jsonb_build_object(${Object.keys(key)
        .map((name) => `${pg.escapeLiteral(name)}, ${pg.escapeIdentifier(name)}::text`)
        .join(', ')}) as key, ${pg.escapeIdentifier(column)} as wrapped
      from ${pg.escapeIdentifier(table)}
      where octet_length(${pg.escapeIdentifier(column)}) > 0
        ${after === undefined ? '' : `and (${place}) > (${bounds})`}
      order by ${place}
      limit $1
    `,
    [limit, ...(after === undefined ? [] : Object.keys(key).map((name) => after[name]))],
  );
  return rows;
}

export async function updateWrapped(sql: Sql, { table, column, key }: WrappedPlace, row: WrappedRow): Promise<void> {
  const same = Object.entries(key).map(([name, type], i) => `${pg.escapeIdentifier(name)} = $${i + 2}::text::${type}`);
  await sql.query(
    `update ${pg.escapeIdentifier(table)} set ${pg.escapeIdentifier(column)} = $1 where ${same.join(' and ')}`,
    [row.wrapped, ...Object.keys(key).map((name) => row.key[name])],
  );
}

/** Columns of the schema that hold wrapped keys by their name. */
export async function listWrappedColumns(sql: Sql): Promise<string[]> {
  const { rows } = await sql.query<{ name: string }>(
    `
      select table_name || '.' || column_name as name
      from information_schema.columns
      where table_schema = 'public' and data_type = 'bytea' and column_name like 'wrapped%'
      order by 1
    `,
  );
  return rows.map(({ name }) => name);
}
