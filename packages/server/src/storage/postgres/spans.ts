// SQL of spans: the narrow rows. What was said lies in content blocks (content.ts), sums per trace in traces.ts.
import type { Sql } from '../database.ts';
import { bigints, booleans, dates, integers, isoDay, smallints, ints, texts, uuids } from './binary.ts';

/** One span as a row. Ids of traces and blocks are 32 hex digits; ids of spans are 64 bits as a signed integer. */
export interface SpanRow {
  traceId: string;
  spanId: bigint;
  parentSpanId: bigint | null;
  /** UTC day of the start, days since 1970. */
  day: number;
  retentionClass: number;
  startNs: bigint;
  endNs: bigint;
  contentHash: bigint;
  blockId: string;
  blockDay: number;
  blockIndex: number;
  /** 10^-12 US dollars; null in a billable span: unpriced. */
  costPico: bigint | null;
  clientCostPico: bigint | null;
  inputTokens: number | null;
  outputTokens: number | null;
  cacheReadTokens: number | null;
  cacheCreationTokens: number | null;
  reasoningTokens: number | null;
  /** 0 unset, 1 ok, 2 error. */
  status: number;
  kind: number;
  billable: boolean;
  name: string;
  service: string;
  environment: string | null;
  endpoint: string | null;
  operation: string | null;
  provider: string | null;
  model: string | null;
  priceVersion: string | null;
  userId: string | null;
  sessionId: string | null;
  errorType: string | null;
  /** Equal for equal response ids; null without one. */
  responseHash: bigint | null;
  /** The span that is billed for this one, which looks like a call too; then `billable` is false. */
  repeatsSpanId: bigint | null;
  /** Why, a position in NOT_BILLED_REASONS. */
  repeatsReason: number | null;
}

/** Which span of a tenant, wherever it is kept. */
export interface SpanKey {
  traceId: string;
  spanId: bigint;
}

/** In a tenant transaction. The caller holds the lock of each trace, so none of the spans can exist already. */
export async function insertSpans(sql: Sql, tenantId: string, rows: readonly SpanRow[]): Promise<void> {
  if (rows.length === 0) return;
  await sql.query(
    `
      insert into spans (
        tenant_id, day, trace_id, span_id, retention_class, parent_span_id, start_ns, end_ns, content_hash,
        block_id, block_day, block_index, cost_pico, client_cost_pico,
        input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, reasoning_tokens,
        status, kind, billable,
        name, service, environment, endpoint, operation, provider, model, price_version,
        user_id, session_id, error_type, response_hash, repeats_span_id, repeats_reason
      )
      select $1::uuid, *
      from unnest(
        $2::date[], $3::uuid[], $4::int8[], $5::int2[], $6::int8[], $7::int8[], $8::int8[], $9::int8[],
        $10::uuid[], $11::date[], $12::int4[], $13::int8[], $14::int8[],
        $15::int8[], $16::int8[], $17::int8[], $18::int8[], $19::int8[],
        $20::int2[], $21::int2[], $22::bool[],
        $23::text[], $24::text[], $25::text[], $26::text[], $27::text[], $28::text[], $29::text[], $30::text[],
        $31::text[], $32::text[], $33::text[], $34::int8[], $35::int8[], $36::int8[]
      )
    `,
    [
      tenantId,
      dates(rows.map((row) => row.day)),
      uuids(rows.map((row) => row.traceId)),
      bigints(rows.map((row) => row.spanId)),
      smallints(rows.map((row) => row.retentionClass)),
      bigints(rows.map((row) => row.parentSpanId)),
      bigints(rows.map((row) => row.startNs)),
      bigints(rows.map((row) => row.endNs)),
      bigints(rows.map((row) => row.contentHash)),
      uuids(rows.map((row) => row.blockId)),
      dates(rows.map((row) => row.blockDay)),
      ints(rows.map((row) => row.blockIndex)),
      bigints(rows.map((row) => row.costPico)),
      bigints(rows.map((row) => row.clientCostPico)),
      integers(rows.map((row) => row.inputTokens)),
      integers(rows.map((row) => row.outputTokens)),
      integers(rows.map((row) => row.cacheReadTokens)),
      integers(rows.map((row) => row.cacheCreationTokens)),
      integers(rows.map((row) => row.reasoningTokens)),
      smallints(rows.map((row) => row.status)),
      smallints(rows.map((row) => row.kind)),
      booleans(rows.map((row) => row.billable)),
      texts(rows.map((row) => row.name)),
      texts(rows.map((row) => row.service)),
      texts(rows.map((row) => row.environment)),
      texts(rows.map((row) => row.endpoint)),
      texts(rows.map((row) => row.operation)),
      texts(rows.map((row) => row.provider)),
      texts(rows.map((row) => row.model)),
      texts(rows.map((row) => row.priceVersion)),
      texts(rows.map((row) => row.userId)),
      texts(rows.map((row) => row.sessionId)),
      texts(rows.map((row) => row.errorType)),
      bigints(rows.map((row) => row.responseHash)),
      bigints(rows.map((row) => row.repeatsSpanId)),
      integers(rows.map((row) => row.repeatsReason)),
    ],
    'insert_spans',
  );
}

// bigint and 128-bit ids come as text from pg: they are turned in one place, `rowOf`.
const COLUMNS = `
  replace(spans.trace_id::text, '-', '') as "traceId",
  spans.span_id as "spanId",
  parent_span_id as "parentSpanId",
  (day - date '1970-01-01') as "day",
  retention_class as "retentionClass",
  start_ns as "startNs",
  end_ns as "endNs",
  content_hash as "contentHash",
  replace(block_id::text, '-', '') as "blockId",
  (block_day - date '1970-01-01') as "blockDay",
  block_index as "blockIndex",
  cost_pico as "costPico",
  client_cost_pico as "clientCostPico",
  input_tokens as "inputTokens",
  output_tokens as "outputTokens",
  cache_read_tokens as "cacheReadTokens",
  cache_creation_tokens as "cacheCreationTokens",
  reasoning_tokens as "reasoningTokens",
  status,
  kind,
  billable,
  name,
  service,
  environment,
  endpoint,
  operation,
  provider,
  model,
  price_version as "priceVersion",
  user_id as "userId",
  session_id as "sessionId",
  error_type as "errorType",
  response_hash as "responseHash",
  repeats_span_id as "repeatsSpanId",
  repeats_reason as "repeatsReason"
`;

type Integral =
  | 'spanId'
  | 'parentSpanId'
  | 'startNs'
  | 'endNs'
  | 'contentHash'
  | 'costPico'
  | 'clientCostPico'
  | 'inputTokens'
  | 'outputTokens'
  | 'cacheReadTokens'
  | 'cacheCreationTokens'
  | 'reasoningTokens'
  | 'responseHash'
  | 'repeatsSpanId';
type Sent = Omit<SpanRow, Integral> & { [K in Integral]: string | null };

function rowOf(row: Sent): SpanRow {
  return {
    ...row,
    spanId: BigInt(row.spanId as string),
    parentSpanId: bigintOr(row.parentSpanId),
    startNs: BigInt(row.startNs as string),
    endNs: BigInt(row.endNs as string),
    contentHash: BigInt(row.contentHash as string),
    costPico: bigintOr(row.costPico),
    clientCostPico: bigintOr(row.clientCostPico),
    inputTokens: numberOr(row.inputTokens),
    outputTokens: numberOr(row.outputTokens),
    cacheReadTokens: numberOr(row.cacheReadTokens),
    cacheCreationTokens: numberOr(row.cacheCreationTokens),
    reasoningTokens: numberOr(row.reasoningTokens),
    responseHash: bigintOr(row.responseHash),
    repeatsSpanId: bigintOr(row.repeatsSpanId),
  };
}

const bigintOr = (value: string | null): bigint | null => (value === null ? null : BigInt(value));
const numberOr = (value: string | null): number | null => (value === null ? null : Number(value));

/**
 * Those of `keys` that are kept on one of `days`; the caller holds the locks of their traces. One look into the primary
 * key for each: written as `(trace_id, span_id) in (…)` the planner read all spans of the day, 0.5 s for 60,000.
 */
export async function findSpans(
  sql: Sql,
  tenantId: string,
  days: readonly number[],
  keys: readonly SpanKey[],
): Promise<SpanRow[]> {
  if (keys.length === 0 || days.length === 0) return [];
  const { rows } = await sql.query<Sent>(
    `
      select found.*
      from unnest($3::uuid[], $4::int8[]) as wanted (trace_id, span_id)
      cross join lateral (
        select ${COLUMNS}
        from spans
        where tenant_id = $1
          and day = any ($2::date[])
          and spans.trace_id = wanted.trace_id
          and spans.span_id = wanted.span_id
        offset 0
      ) as found
    `,
    [tenantId, days.map(isoDay), uuids(keys.map(({ traceId }) => traceId)), bigints(keys.map(({ spanId }) => spanId))],
  );
  return rows.map(rowOf);
}

/** At most `limit` spans of one trace, by start. */
export async function spansOfTrace(
  sql: Sql,
  tenantId: string,
  traceId: string,
  days: readonly number[],
  limit: number,
): Promise<SpanRow[]> {
  const { rows } = await sql.query<Sent>(
    `
      select ${COLUMNS}
      from spans
      where tenant_id = $1
        and day = any ($2::date[])
        and trace_id = $3
      order by start_ns, span_id
      limit $4
    `,
    [tenantId, days.map(isoDay), traceId, limit],
  );
  return rows.map(rowOf);
}

/** What the waterfall shows of a span; 64-bit numbers are decimal text. */
export interface OutlinedSpan {
  spanId: string;
  parentSpanId: string | null;
  startNs: string;
  endNs: string;
  costPico: string | null;
  inputTokens: string | null;
  outputTokens: string | null;
  status: number;
  billable: boolean;
  name: string;
  service: string;
  operation: string | null;
  model: string | null;
}

/** At most `limit` spans of one trace, by start, without what was said: a third of the columns and no content block. */
export async function outlineOfTrace(
  sql: Sql,
  tenantId: string,
  traceId: string,
  days: readonly number[],
  limit: number,
): Promise<OutlinedSpan[]> {
  const { rows } = await sql.query<OutlinedSpan>(
    `
      select
        span_id as "spanId", parent_span_id as "parentSpanId", start_ns as "startNs", end_ns as "endNs",
        cost_pico as "costPico", input_tokens as "inputTokens", output_tokens as "outputTokens",
        status, billable, name, service, operation, model
      from spans
      where tenant_id = $1
        and day = any ($2::date[])
        and trace_id = $3
      order by start_ns, span_id
      limit $4
    `,
    [tenantId, days.map(isoDay), traceId, limit],
  );
  return rows;
}

/** What the calls of one model, of one service, or of both cost in a trace. */
export interface MatchingCost {
  traceId: string;
  costPico: string;
  unpriced: number;
}

/** Of each trace, which lies on its `days`; a trace without such a call is left out. */
export async function costOfMatching(
  sql: Sql,
  tenantId: string,
  traces: readonly { traceId: string; days: readonly number[] }[],
  { model, service }: { model: string | null; service: string | null },
): Promise<MatchingCost[]> {
  const placed = traces.flatMap(({ traceId, days }) => days.map((day) => ({ traceId, day })));
  if (placed.length === 0) return [];
  const { rows } = await sql.query<MatchingCost>(
    `
      select
        replace(wanted.trace_id::text, '-', '') as "traceId",
        coalesce(sum(cost_pico), 0)::text as "costPico",
        (count(*) filter (where cost_pico is null))::int as unpriced
      from unnest($2::uuid[], $3::date[]) as wanted (trace_id, day)
      cross join lateral (
        select cost_pico
        from spans
        where tenant_id = $1
          and spans.day = wanted.day
          and spans.trace_id = wanted.trace_id
          and billable
          and ($4::text is null or model = $4)
          and ($5::text is null or service = $5)
        offset 0
      ) as matching
      group by 1
    `,
    [tenantId, uuids(placed.map(({ traceId }) => traceId)), dates(placed.map(({ day }) => day)), model, service],
  );
  return rows;
}

/** One span of a trace. */
export async function findSpan(
  sql: Sql,
  tenantId: string,
  key: SpanKey,
  days: readonly number[],
): Promise<SpanRow | undefined> {
  const { rows } = await sql.query<Sent>(
    `
      select ${COLUMNS}
      from spans
      where tenant_id = $1
        and day = any ($2::date[])
        and trace_id = $3
        and span_id = $4
    `,
    [tenantId, days.map(isoDay), key.traceId, key.spanId],
  );
  return rows[0] === undefined ? undefined : rowOf(rows[0]);
}

/**
 * Takes out rows that newer ones replace. The list of traces beside the join is for the planner: with it the scan
 * begins at those traces, without it every span of the day is read, 0.8 s for 60,000.
 */
export async function deleteSpans(sql: Sql, tenantId: string, rows: readonly SpanRow[]): Promise<void> {
  if (rows.length === 0) return;
  await sql.query(
    `
      delete from spans
      using unnest($3::date[], $4::uuid[], $5::int8[]) as gone (day, trace_id, span_id)
      where spans.tenant_id = $1
        and spans.day = any ($2::date[])
        and spans.trace_id = any ($6::uuid[])
        and spans.day = gone.day
        and spans.trace_id = gone.trace_id
        and spans.span_id = gone.span_id
    `,
    [
      tenantId,
      [...new Set(rows.map(({ day }) => day))].map(isoDay),
      dates(rows.map(({ day }) => day)),
      uuids(rows.map(({ traceId }) => traceId)),
      bigints(rows.map(({ spanId }) => spanId)),
      uuids([...new Set(rows.map(({ traceId }) => traceId))]),
    ],
  );
}

/** Writes what of `rows` is billed and what it costs; everything else of a span stays. The caller holds the trace's lock. */
export async function updateBills(sql: Sql, tenantId: string, rows: readonly SpanRow[]): Promise<void> {
  if (rows.length === 0) return;
  await sql.query(
    `
      update spans
      set billable = sent.billable, repeats_span_id = sent.repeats_span_id, repeats_reason = sent.repeats_reason,
        cost_pico = sent.cost_pico, price_version = sent.price_version
      from unnest($3::date[], $4::uuid[], $5::int8[], $6::bool[], $7::int8[], $8::int8[], $9::int8[], $10::text[])
        as sent (day, trace_id, span_id, billable, repeats_span_id, repeats_reason, cost_pico, price_version)
      where spans.tenant_id = $1
        and spans.day = any ($2::date[])
        and spans.trace_id = any ($11::uuid[])
        and spans.day = sent.day
        and spans.trace_id = sent.trace_id
        and spans.span_id = sent.span_id
    `,
    [
      tenantId,
      [...new Set(rows.map(({ day }) => day))].map(isoDay),
      dates(rows.map(({ day }) => day)),
      uuids(rows.map(({ traceId }) => traceId)),
      bigints(rows.map(({ spanId }) => spanId)),
      booleans(rows.map(({ billable }) => billable)),
      bigints(rows.map(({ repeatsSpanId }) => repeatsSpanId)),
      integers(rows.map(({ repeatsReason }) => repeatsReason)),
      bigints(rows.map(({ costPico }) => costPico)),
      texts(rows.map(({ priceVersion }) => priceVersion)),
      uuids([...new Set(rows.map(({ traceId }) => traceId))]),
    ],
  );
}
