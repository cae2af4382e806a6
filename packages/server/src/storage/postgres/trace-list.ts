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

// Every filter is in the text; the planner sees the values of each call and drops what was not asked.
const FILTER = `
  tenant_id = $1
  and ($2::bigint is null or start_ns >= $2)
  and ($3::bigint is null or start_ns < $3)
  and ($4::text is null or $4 = any (services))
  and ($5::text is null or $5 = any (models))
  and tags @> $6::text[]
  and ($7::numeric is null or cost_pico >= $7)
  and ($8::numeric is null or (unpriced_count = 0 and cost_pico <= $8))
  and ($9::bigint is null or end_ns - start_ns >= $9)
  and ($10::bigint is null or end_ns - start_ns <= $10)
  and ($11::smallint is null or status = $11)
  and ($12::text is null or user_id = $12)
  and ($13::text is null or session_id = $13)
  and ($14::text is null or environment = $14)
  and ($15::text is null or endpoint = $15)
  and ($16::text is null
    or name ilike $16
    or user_id ilike $16
    or session_id ilike $16
    or replace(trace_id::text, '-', '') like $17)
`;

function valuesOf(tenantId: string, filter: TraceFilter): unknown[] {
  const q = filter.q === null ? null : filter.q.replace(/[\\%_]/g, '\\$&');
  return [
    tenantId,
    filter.fromNs,
    filter.untilNs,
    filter.service,
    filter.model,
    filter.tags,
    filter.minCostPico,
    filter.maxCostPico,
    filter.minLatencyNs,
    filter.maxLatencyNs,
    filter.status,
    filter.user,
    filter.session,
    filter.environment,
    filter.endpoint,
    q === null ? null : `%${q}%`,
    q === null ? null : `${q.toLowerCase()}%`,
  ];
}

/** Newest first, after `position`, skipping `offset`. */
export async function listTraces(
  sql: Sql,
  tenantId: string,
  filter: TraceFilter,
  page: { after: TracePosition | null; limit: number; offset: number },
): Promise<ListedTrace[]> {
  const { rows } = await sql.query<ListedTrace>(
    `
      select ${COLUMNS}
      from traces
      where ${FILTER}
        and ($18::bigint is null or (start_ns, trace_id) < ($18, $19::uuid))
      order by start_ns desc, trace_id desc
      limit $20 offset $21
    `,
    [...valuesOf(tenantId, filter), page.after?.startNs ?? null, page.after?.traceId ?? null, page.limit, page.offset],
  );
  return rows;
}

/** How many traces match, or undefined when there are more than `most`. */
export async function countListed(
  sql: Sql,
  tenantId: string,
  filter: TraceFilter,
  most: number,
): Promise<number | undefined> {
  const { rows } = await sql.query<{ count: number }>(
    `
      select count(*)::int as count
      from (select from traces where ${FILTER} limit $18) as matching
    `,
    [...valuesOf(tenantId, filter), most + 1],
  );
  const count = rows[0]?.count ?? 0;
  return count > most ? undefined : count;
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
