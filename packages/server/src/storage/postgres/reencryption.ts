// SQL of sealing again: the rows of one place in the order of their key, a page at a time, and how far it has come.
// Names of tables and columns come from the list of sealed places, never from a request.
import type { Sql } from '../database.ts';
import { SEALED_PLACES, type SealedPlace } from '../sealed.ts';
import { byteas } from './binary.ts';

export const nameOf = ({ table, column }: SealedPlace): string => `${table}.${column}`;

/** Rows that are looked at for one batch; where nothing is old this is the batch. */
const PAGE_ROWS = 2_000;

export interface Pass {
  version: number;
  after: string[] | null;
  rowsLeft: number;
  isDone: boolean;
  startedForMs: number;
  doneForMs: number | null;
}

/** In a tenant transaction, locked until its end: two workers do not go through one place at once. */
export async function readPass(sql: Sql, tenantId: string, place: SealedPlace): Promise<Pass | undefined> {
  const { rows } = await sql.query<Pass>(
    `
      select
        version, after, rows_left::float8 as "rowsLeft", done_at is not null as "isDone",
        (1000 * extract(epoch from clock_timestamp() - started_at))::float8 as "startedForMs",
        (1000 * extract(epoch from clock_timestamp() - done_at))::float8 as "doneForMs"
      from tenant_reencryptions
      where tenant_id = $1 and place = $2
      for update
    `,
    [tenantId, nameOf(place)],
  );
  return rows[0];
}

/** Begins at the first row, also where a pass ended before. */
export async function startPass(sql: Sql, tenantId: string, place: SealedPlace, version: number): Promise<void> {
  await sql.query(
    `
      insert into tenant_reencryptions as t (tenant_id, place, version, started_at, rows_total)
      select $1::uuid, $2::text, $3::int, clock_timestamp(), count(*)
      from ${place.table}
      where tenant_id = $1 and ${place.column} is not null
      on conflict (tenant_id, place) do update set
        version = excluded.version, started_at = excluded.started_at, rows_total = excluded.rows_total,
        after = null, rows_seen = 0, rows_sealed = 0, rows_left = 0, done_at = null
    `,
    [tenantId, nameOf(place), version],
  );
}

export interface SealedPage {
  /** Keys of rows that an old version sealed, at most a batch. */
  old: string[][];
  /** Rows from `after` to `last`. */
  seen: number;
  /** Null: the place ends before. */
  last: string[] | null;
}

export async function readPage(
  sql: Sql,
  tenantId: string,
  place: SealedPlace,
  version: number,
  after: readonly string[] | null,
): Promise<SealedPage> {
  const { rows } = await sql.query<{ key: string[]; isOld: boolean }>(
    `
      select
        array[${columnsOf(place)
          .map((name) => `${name}::text`)
          .join(', ')}] as key,
        substring(${place.column} from 3 for 4) < int4send($2) as "isOld"
      from ${place.table}
      where tenant_id = $1 and ${place.column} is not null and ${after === null ? '$3::text[] is null' : afterKey(place)}
      order by ${columnsOf(place).join(', ')}
      limit ${PAGE_ROWS}
    `,
    [tenantId, version, after],
  );
  const at = rows.map(({ isOld }, i) => (isOld ? i : -1)).filter((i) => i >= 0);
  const end = at.length > place.batch ? (at[place.batch - 1] as number) + 1 : rows.length;
  const seen = rows.slice(0, end);
  return {
    old: seen.filter(({ isOld }) => isOld).map(({ key }) => key),
    seen: end,
    last: end < rows.length || end === PAGE_ROWS ? (seen.at(-1)?.key ?? null) : null,
  };
}

/** Locks rows and reads what is sealed in them; what somebody else holds is left out, so that no request waits for us. */
export async function lockSealed(
  sql: Sql,
  tenantId: string,
  place: SealedPlace,
  keys: readonly string[][],
): Promise<Array<{ key: string[]; sealed: Buffer }>> {
  const names = columnsOf(place);
  const { rows } = await sql.query<{ key: string[]; sealed: Buffer }>(
    `
      select array[${names.map((name) => `t.${name}::text`).join(', ')}] as key, t.${place.column} as sealed
      from ${place.table} t
      join unnest(${listed(place, 2)}) as sent (${names.join(', ')}) using (${names.join(', ')})
      where t.tenant_id = $1 and t.${place.column} is not null
      order by ${names.map((name) => `t.${name}`).join(', ')}
      for update of t skip locked
    `,
    [tenantId, ...columnwise(place, keys)],
  );
  return rows;
}

export async function writeSealed(
  sql: Sql,
  tenantId: string,
  place: SealedPlace,
  rows: readonly { key: string[]; sealed: Uint8Array }[],
): Promise<void> {
  const names = columnsOf(place);
  await sql.query(
    `
      update ${place.table} t
      set ${place.column} = sent.resealed
      from unnest(${listed(place, 2)}, $${names.length + 2}::bytea[]) as sent (${names.join(', ')}, resealed)
      where t.tenant_id = $1 and ${names.map((name) => `t.${name} = sent.${name}`).join(' and ')}
    `,
    [
      tenantId,
      ...columnwise(
        place,
        rows.map(({ key }) => key),
      ),
      byteas(rows.map(({ sealed }) => sealed)),
    ],
  );
}

export async function movePass(
  sql: Sql,
  tenantId: string,
  place: SealedPlace,
  moved: { last: string[] | null; seen: number; sealed: number; left: number },
): Promise<void> {
  await sql.query(
    `
      update tenant_reencryptions
      set
        after = coalesce($3, after),
        rows_seen = rows_seen + $4,
        rows_sealed = rows_sealed + $5,
        rows_left = rows_left + $6,
        done_at = case when $3::text[] is null then clock_timestamp() end
      where tenant_id = $1 and place = $2
    `,
    [tenantId, nameOf(place), moved.last, moved.seen, moved.sealed, moved.left],
  );
}

export interface PlaceProgress {
  place: string;
  version: number;
  rowsTotal: number;
  rowsSeen: number;
  rowsSealed: number;
  isDone: boolean;
}

/** In a tenant transaction: every place of the last pass, in the order in which they are gone through. */
export async function listProgress(sql: Sql, tenantId: string): Promise<PlaceProgress[]> {
  const { rows } = await sql.query<PlaceProgress>(
    `
      select
        place, version, rows_total::float8 as "rowsTotal", rows_seen::float8 as "rowsSeen",
        rows_sealed::float8 as "rowsSealed", done_at is not null and rows_left = 0 as "isDone"
      from tenant_reencryptions
      where tenant_id = $1
    `,
    [tenantId],
  );
  const order = SEALED_PLACES.map(nameOf);
  return rows.sort((a, b) => order.indexOf(a.place) - order.indexOf(b.place));
}

const columnsOf = ({ key }: SealedPlace): string[] => Object.keys(key);

function afterKey(place: SealedPlace): string {
  const values = Object.values(place.key).map((type, i) => `($3::text[])[${i + 1}]::${type}`);
  return `(${columnsOf(place).join(', ')}) > (${values.join(', ')})`;
}

function listed(place: SealedPlace, first: number): string {
  return Object.values(place.key)
    .map((type, i) => `$${first + i}::text[]::${type}[]`)
    .join(', ');
}

const columnwise = (place: SealedPlace, keys: readonly string[][]): string[][] =>
  columnsOf(place).map((_, i) => keys.map((key) => key[i] as string));
