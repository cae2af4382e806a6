// SQL of prices: the table in use, the versions of a tenant's overrides, and the runs that price stored spans again.
import type { PriceOverride } from '@lumatrace/telemetry';
import type { Sql } from '../database.ts';

export interface InstalledTable {
  tableId: string;
  source: string;
  version: string;
  sha256: string;
  models: number;
  installedAt: Date;
  installedBy: string;
}

/** The table that counts, without its prices; undefined: the one of the release. */
export async function readInstalledTable(sql: Sql): Promise<InstalledTable | undefined> {
  const { rows } = await sql.query<InstalledTable>(`
    select table_id as "tableId", source, version, sha256, models, installed_at as "installedAt",
      installed_by as "installedBy"
    from price_tables
    order by table_id desc
    limit 1`);
  return rows[0];
}

export async function readTableBytes(sql: Sql, tableId: string): Promise<Buffer | undefined> {
  const { rows } = await sql.query<{ compressed: Buffer }>('select compressed from price_tables where table_id = $1', [
    tableId,
  ]);
  return rows[0]?.compressed;
}

export async function insertTable(
  sql: Sql,
  table: { source: string; version: string; sha256: string; models: number; compressed: Uint8Array; by: string },
): Promise<void> {
  await sql.query(
    `
      insert into price_tables (source, version, sha256, models, compressed, installed_by)
      values ($1, $2, $3, $4, $5, $6)
    `,
    [table.source, table.version, table.sha256, table.models, Buffer.from(table.compressed), table.by],
  );
}

export interface OverridesRow {
  version: number;
  overrides: PriceOverride[];
  createdAt: Date | null;
  createdBy: string | null;
}

const NO_OVERRIDES: OverridesRow = { version: 0, overrides: [], createdAt: null, createdBy: null };

/** The newest overrides; version 0 and none before the first. */
export async function readOverrides(sql: Sql, tenantId: string): Promise<OverridesRow> {
  const { rows } = await sql.query<OverridesRow>(
    `
      select version, overrides, created_at as "createdAt", created_by as "createdBy"
      from price_overrides
      where tenant_id = $1
      order by version desc
      limit 1
    `,
    [tenantId],
  );
  return rows[0] ?? NO_OVERRIDES;
}

/** False when somebody else wrote this version first. */
export async function insertOverrides(
  sql: Sql,
  tenantId: string,
  { version, overrides, by }: { version: number; overrides: readonly PriceOverride[]; by: string },
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      insert into price_overrides (tenant_id, version, overrides, created_by)
      values ($1, $2, $3::jsonb, $4)
      on conflict (tenant_id, version) do nothing
    `,
    [tenantId, version, JSON.stringify(overrides), by],
  );
  return rowCount === 1;
}

export type RecostState = 'queued' | 'running' | 'completed' | 'cancelled' | 'failed';

export interface RecostRow {
  recostId: string;
  state: RecostState;
  /** Nanoseconds since 1970, and amounts of 10^-12 US dollars, as decimal text. */
  fromNs: string;
  untilNs: string;
  priceVersion: string;
  tracesTotal: number;
  tracesDone: number;
  spansSeen: string;
  spansChanged: string;
  unpricedBefore: string;
  unpricedAfter: string;
  oldPico: string;
  newPico: string;
  afterNs: string | null;
  afterTrace: string | null;
  error: string | null;
  createdBy: string;
  createdAt: Date;
  updatedAt: Date;
}

const RECOST_COLUMNS = `
  recost_id as "recostId", state, from_ns as "fromNs", until_ns as "untilNs", price_version as "priceVersion",
  traces_total as "tracesTotal", traces_done as "tracesDone", spans_seen as "spansSeen",
  spans_changed as "spansChanged", unpriced_before as "unpricedBefore", unpriced_after as "unpricedAfter",
  old_pico as "oldPico", new_pico as "newPico", after_ns as "afterNs",
  replace(after_trace::text, '-', '') as "afterTrace", error, created_by as "createdBy", created_at as "createdAt",
  updated_at as "updatedAt"
`;

/** False while another run of the tenant is under way. */
export async function insertRecost(
  sql: Sql,
  tenantId: string,
  run: { recostId: string; fromNs: bigint; untilNs: bigint; priceVersion: string; tracesTotal: number; by: string },
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      insert into recosts (tenant_id, recost_id, state, from_ns, until_ns, price_version, traces_total, created_by)
      values ($1, $2, 'queued', $3, $4, $5, $6, $7)
      on conflict (tenant_id) where state in ('queued', 'running') do nothing
    `,
    [tenantId, run.recostId, String(run.fromNs), String(run.untilNs), run.priceVersion, run.tracesTotal, run.by],
  );
  return rowCount === 1;
}

/** The newest first. */
export async function listRecosts(sql: Sql, tenantId: string, limit: number): Promise<RecostRow[]> {
  const { rows } = await sql.query<RecostRow>(
    `
      select ${RECOST_COLUMNS}
      from recosts
      where tenant_id = $1
      order by created_at desc, recost_id
      limit $2
    `,
    [tenantId, limit],
  );
  return rows;
}

export async function readRecost(sql: Sql, tenantId: string, recostId: string): Promise<RecostRow | undefined> {
  const { rows } = await sql.query<RecostRow>(
    `select ${RECOST_COLUMNS} from recosts where tenant_id = $1 and recost_id = $2`,
    [tenantId, recostId],
  );
  return rows[0];
}

/** The run, locked until the transaction ends: whoever cancels waits for the batch under way. */
export async function lockRecost(sql: Sql, tenantId: string, recostId: string): Promise<RecostRow | undefined> {
  const { rows } = await sql.query<RecostRow>(
    `select ${RECOST_COLUMNS} from recosts where tenant_id = $1 and recost_id = $2 for update`,
    [tenantId, recostId],
  );
  return rows[0];
}

/** Moves a run that is not over yet to `state`; false when it is over. */
export async function setRecostState(
  sql: Sql,
  tenantId: string,
  recostId: string,
  state: RecostState,
  error: string | null = null,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      update recosts
      set state = $3, error = $4, updated_at = now()
      where tenant_id = $1 and recost_id = $2 and state in ('queued', 'running')
    `,
    [tenantId, recostId, state, error],
  );
  return rowCount === 1;
}

/** What a change of prices does to some spans; `changed` of them have another price or are billed otherwise. */
export interface PriceChange {
  spans: number;
  changed: number;
  unpricedBefore: number;
  unpricedAfter: number;
  /** 10^-12 US dollars. */
  oldPico: bigint;
  newPico: bigint;
}

/** Where a run is: the last trace that is done. */
export interface RecostPosition {
  startNs: bigint;
  traceId: string;
}

export interface RecostStep extends PriceChange {
  traces: number;
  last: RecostPosition;
}

/** One batch of traces priced again. */
export interface RecostBatch extends PriceChange {
  traces: number;
  /** By `provider\nmodel`. */
  models: ReadonlyMap<string, PriceChange>;
  /** Where the next batch begins; null at the end. */
  last: RecostPosition | null;
}

/** In the transaction that wrote the batch, so that a batch counts once. */
export async function addRecostStep(sql: Sql, tenantId: string, recostId: string, step: RecostStep): Promise<void> {
  await sql.query(
    `
      update recosts
      set traces_done = traces_done + $3, spans_seen = spans_seen + $4, spans_changed = spans_changed + $5,
        unpriced_before = unpriced_before + $6, unpriced_after = unpriced_after + $7,
        old_pico = old_pico + $8, new_pico = new_pico + $9, after_ns = $10, after_trace = $11, updated_at = now()
      where tenant_id = $1 and recost_id = $2
    `,
    [
      tenantId,
      recostId,
      step.traces,
      step.spans,
      step.changed,
      step.unpricedBefore,
      step.unpricedAfter,
      String(step.oldPico),
      String(step.newPico),
      String(step.last.startNs),
      step.last.traceId,
    ],
  );
}

export interface TraceRange {
  fromNs: bigint;
  untilNs: bigint;
}

export async function countTracesBetween(sql: Sql, tenantId: string, { fromNs, untilNs }: TraceRange): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    'select count(*)::int as count from traces where tenant_id = $1 and start_ns >= $2 and start_ns < $3',
    [tenantId, String(fromNs), String(untilNs)],
  );
  return rows[0]?.count ?? 0;
}

/** Traces that begin in the range after a position, by start and id. */
export async function tracesAfter(
  sql: Sql,
  tenantId: string,
  { fromNs, untilNs }: TraceRange,
  after: RecostPosition | null,
  limit: number,
): Promise<RecostPosition[]> {
  const { rows } = await sql.query<{ traceId: string; startNs: string }>(
    `
      select replace(trace_id::text, '-', '') as "traceId", start_ns as "startNs"
      from traces
      where tenant_id = $1
        and start_ns >= $2
        and start_ns < $3
        and ($4::bigint is null or (start_ns, trace_id) > ($4::bigint, $5::uuid))
      order by start_ns, trace_id
      limit $6
    `,
    [
      tenantId,
      String(fromNs),
      String(untilNs),
      after === null ? null : String(after.startNs),
      after?.traceId ?? null,
      limit,
    ],
  );
  return rows.map(({ traceId, startNs }) => ({ traceId, startNs: BigInt(startNs) }));
}
