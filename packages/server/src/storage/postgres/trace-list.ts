// SQL of the lists of traces: one statement with every filter, answered from the summaries alone.
import type { Sql } from '../database.ts';

/** Filters of a list; null = not asked. Times are nanoseconds since 1970, amounts 10^-12 US dollars. */
export interface TraceFilter {
  /** Inclusive. */
  fromNs: bigint | null;
  /** Exclusive. */
  untilNs: bigint | null;
  /** A service, or a model, that any span of the trace has. */
  service: string | null;
  model: string | null;
  /** The service of the root. */
  rootService: string | null;
  /** All of them. */
  tags: readonly string[];
  /** Known cost at least; a trace with unpriced calls counts with what is priced. */
  minCostPico: bigint | null;
  /** Cost at most; a trace with unpriced calls is left out, its cost is not known. */
  maxCostPico: bigint | null;
  minLatencyNs: bigint | null;
  maxLatencyNs: bigint | null;
  status: number | null;
  user: string | null;
  session: string | null;
  environment: string | null;
  endpoint: string | null;
  /** Text in the name, user, session, or the beginning of the trace id. */
  q: string | null;
}

/** Where a page ended: the next one begins behind it. */
export interface TracePosition {
  startNs: bigint;
  /** 32 hex digits. */
  traceId: string;
}

/** A summary as lists show it; 64-bit numbers are decimal text. */
export interface ListedTrace {
  traceId: string;
  spanId: string;
  parentSpanId: string | null;
  name: string;
  service: string;
  environment: string | null;
  endpoint: string;
  model: string | null;
  provider: string | null;
  startNs: string;
  endNs: string;
  spanCount: number;
  billableCount: number;
  unpricedCount: number;
  errorCount: number;
  costPico: string;
  inputTokens: string;
  outputTokens: string;
  status: number;
  userId: string | null;
  sessionId: string | null;
  tags: string[];
  /** Days since 1970. */
  days: number[];
  sealed: Buffer;
}

const COLUMNS = `
  replace(trace_id::text, '-', '') as "traceId",
  span_id as "spanId",
  parent_span_id as "parentSpanId",
  name,
  service,
  environment,
  endpoint,
  model,
  provider,
  start_ns as "startNs",
  end_ns as "endNs",
  span_count as "spanCount",
  billable_count as "billableCount",
  unpriced_count as "unpricedCount",
  error_count as "errorCount",
  cost_pico as "costPico",
  input_tokens as "inputTokens",
  output_tokens as "outputTokens",
  status,
  user_id as "userId",
  session_id as "sessionId",
  tags,
  array(select day - date '1970-01-01' from unnest(days) as day) as "days",
  sealed
`;

/**
 * The time as the index of the filter holds it. Those of users and sessions hold an expression, so that no other index
 * gives their order: for a table without statistics, or a tenant that they do not know, the planner expects one row from
 * each index and took that of the time, which read every trace of the tenant.
 */
const timeOf = ({ user, session }: TraceFilter): string =>
  user === null && session === null ? 'start_ns' : '(start_ns + 0)';

// What an index answers: the range, one user, one session, the beginning of an id. The planner sees the values of each
// call and drops what was not asked.
const byIndex = (time: string): string => `
  tenant_id = $1
  and ($2::bigint is null or ${time} >= $2)
  and ($3::bigint is null or ${time} < $3)
  and ($4::text is null or user_id = $4)
  and ($5::text is null or session_id = $5)
  and ($6::uuid is null or trace_id between $6 and $7::uuid)
`;

// What is looked at row by row.
const BY_ROW = `
  ($8::text is null or $8 = any (services))
  and ($9::text is null or $9 = any (models))
  and tags @> $10::text[]
  and ($11::numeric is null or cost_pico >= $11)
  and ($12::numeric is null or (unpriced_count = 0 and cost_pico <= $12))
  and ($13::bigint is null or end_ns - start_ns >= $13)
  and ($14::bigint is null or end_ns - start_ns <= $14)
  and ($15::smallint is null or status = $15)
  and ($16::text is null or environment = $16)
  and ($17::text is null or endpoint = $17)
  and ($18::text is null
    or name ilike $18
    or user_id ilike $18
    or session_id ilike $18
    or replace(trace_id::text, '-', '') like $19)
  and ($20::text is null or service = $20)
`;

const newestFirst = (time: string): string => `order by ${time} desc, trace_id desc`;

interface IdRange {
  from: string;
  until: string;
}

/** $1 to $20. */
function valuesOf(tenantId: string, filter: TraceFilter, ids: IdRange | null): unknown[] {
  const q = filter.q === null || ids !== null ? null : filter.q.replace(/[\\%_]/g, '\\$&');
  return [
    tenantId,
    filter.fromNs,
    filter.untilNs,
    filter.user,
    filter.session,
    ids?.from ?? null,
    ids?.until ?? null,
    filter.service,
    filter.model,
    filter.tags,
    filter.minCostPico,
    filter.maxCostPico,
    filter.minLatencyNs,
    filter.maxLatencyNs,
    filter.status,
    filter.environment,
    filter.endpoint,
    q === null ? null : `%${q}%`,
    q === null ? null : `${q.toLowerCase()}%`,
    filter.rootService,
  ];
}

/** Whether there are filters beside the indexed ones: rows may have to be looked at and passed over. */
function passesOver(filter: TraceFilter): boolean {
  const { fromNs: _from, untilNs: _until, user: _user, session: _session, tags, ...rest } = filter;
  return tags.length > 0 || Object.values(rest).some((value) => value !== null);
}

export interface TracePageRows {
  rows: ListedTrace[];
  /** Where the search stopped for this page, although older traces may match. */
  scannedTo?: TracePosition;
}

interface PageBounds {
  after: TracePosition | null;
  limit: number;
  offset: number;
}

/**
 * A page looks at so many traces at most, the newest first, and the next page goes on from there: what is rare is found
 * page by page, each in bounded time, instead of by reading a month at once.
 */
const MOST_SCANNED = 20_000;
/** So many digits are hardly a word of something else than an id. */
const ID_BEGINNING = /^[0-9a-f]{8,32}$/i;

/** Newest first, after `position`, skipping `offset`. */
export async function listTraces(
  sql: Sql,
  tenantId: string,
  filter: TraceFilter,
  page: PageBounds,
): Promise<TracePageRows> {
  if (filter.q !== null && ID_BEGINNING.test(filter.q)) {
    const ids = { from: filter.q.padEnd(32, '0'), until: filter.q.padEnd(32, 'f') };
    const rows = await listWithin(sql, tenantId, filter, page, { ids });
    if (rows.length > 0 || page.after !== null) return { rows };
  }
  // an offset counts matches from the beginning, so nothing of it may be left out
  if (page.offset > 0 || !passesOver(filter)) return { rows: await listWithin(sql, tenantId, filter, page, {}) };
  const rows = await listWithin(sql, tenantId, filter, page, { most: MOST_SCANNED });
  if (rows.length >= page.limit) return { rows };
  const scannedTo = await lastScanned(sql, tenantId, filter, page.after);
  return scannedTo === undefined ? { rows } : { rows, scannedTo };
}

async function listWithin(
  sql: Sql,
  tenantId: string,
  filter: TraceFilter,
  { after, limit, offset }: PageBounds,
  { ids = null, most }: { ids?: IdRange | null; most?: number },
): Promise<ListedTrace[]> {
  const time = timeOf(filter);
  const { rows } = await sql.query<ListedTrace>(
    `
      select ${COLUMNS}
      from (
        select *
        from traces
        where ${byIndex(time)}
          and ($21::bigint is null or (${time}, trace_id) < ($21, $22::uuid))
        ${most === undefined ? '' : `${newestFirst(time)} limit ${most}`}
      ) as scanned
      where ${BY_ROW}
      ${newestFirst(time)}
      limit $23 offset $24
    `,
    [...valuesOf(tenantId, filter, ids), after?.startNs ?? null, after?.traceId ?? null, limit, offset],
  );
  return rows;
}

/** The last trace that a full scan of a page looks at; undefined when it came to the end. */
async function lastScanned(
  sql: Sql,
  tenantId: string,
  filter: TraceFilter,
  after: TracePosition | null,
): Promise<TracePosition | undefined> {
  const time = timeOf(filter);
  const { rows } = await sql.query<{ startNs: string; traceId: string }>(
    `
      select start_ns as "startNs", replace(trace_id::text, '-', '') as "traceId"
      from traces
      where tenant_id = $1
        and ($2::bigint is null or ${time} >= $2)
        and ($3::bigint is null or ${time} < $3)
        and ($4::text is null or user_id = $4)
        and ($5::text is null or session_id = $5)
        and ($6::bigint is null or (${time}, trace_id) < ($6, $7::uuid))
      ${newestFirst(time)}
      limit 1 offset ${MOST_SCANNED - 1}
    `,
    [
      tenantId,
      filter.fromNs,
      filter.untilNs,
      filter.user,
      filter.session,
      after?.startNs ?? null,
      after?.traceId ?? null,
    ],
  );
  const row = rows[0];
  return row === undefined ? undefined : { startNs: BigInt(row.startNs), traceId: row.traceId };
}

/** How many traces match; undefined when more than `most` would have to be looked at. */
export async function countListed(
  sql: Sql,
  tenantId: string,
  filter: TraceFilter,
  most: number,
): Promise<number | undefined> {
  const time = timeOf(filter);
  const { rows } = await sql.query<{ count: number; scanned: number }>(
    `
      select (count(*) filter (where ${BY_ROW}))::int as count, count(*)::int as scanned
      from (
        select *
        from traces
        where ${byIndex(time)}
        ${newestFirst(time)}
        limit ${most + 1}
      ) as scanned
    `,
    valuesOf(tenantId, filter, null),
  );
  const { count, scanned } = rows[0] ?? { count: 0, scanned: 0 };
  return scanned > most ? undefined : count;
}

export async function findTrace(sql: Sql, tenantId: string, traceId: string): Promise<ListedTrace | undefined> {
  const { rows } = await sql.query<ListedTrace>(
    `
      select ${COLUMNS}
      from traces
      where tenant_id = $1 and trace_id = $2
    `,
    [tenantId, traceId],
  );
  return rows[0];
}

export async function hasTraces(sql: Sql, tenantId: string): Promise<boolean> {
  const { rows } = await sql.query<{ any: boolean }>(
    `
      select exists (select from traces where tenant_id = $1) as any
    `,
    [tenantId],
  );
  return rows[0]?.any ?? false;
}
