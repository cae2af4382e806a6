// SQL of trace summaries: one row per trace, locked by whoever writes spans of it.
import type { Json, Preview } from '@lumatrace/telemetry';
import type { Sql } from '../database.ts';
import { arrayLiteral, bigints, integers, ints, isoDay, numerics, smallints, texts, uuids, byteas } from './binary.ts';

export interface TraceRow {
  /** 32 hex digits. */
  traceId: string;
  retentionClass: number;
  startNs: bigint;
  endNs: bigint;
  spanCount: number;
  billableCount: number;
  unpricedCount: number;
  errorCount: number;
  /** Sum of the priced spans, 10^-12 US dollars. */
  costPico: bigint;
  inputTokens: number;
  outputTokens: number;
  /** 0 unset, 1 ok, 2 error. */
  status: number;
  spanId: bigint;
  parentSpanId: bigint | null;
  name: string;
  service: string;
  environment: string | null;
  endpoint: string;
  model: string | null;
  provider: string | null;
  userId: string | null;
  sessionId: string | null;
  services: string[];
  models: string[];
  tags: string[];
  /** Of billable spans without a price; '' stands for a span without such a name. */
  unpricedModels: string[];
  unpricedServices: string[];
  /** Days on which its spans lie, days since 1970. */
  days: number[];
  sealed: Uint8Array;
}

/** What readers find in the sealed part, as JSON. */
export interface SealedSummary {
  lead: { preview: Preview; metadata: { [key: string]: Json } | null };
  call: { preview: Preview } | null;
}

const COLUMN_LIST = `
  retention_class, start_ns, end_ns, span_count, billable_count, unpriced_count, error_count,
  cost_pico, input_tokens, output_tokens, status, span_id, parent_span_id,
  name, service, environment, endpoint, model, provider, user_id, session_id,
  services, models, tags, unpriced_models, unpriced_services, days, sealed
`;

// arrays inside an element travel as text and are cast here
const FROM_ARRAYS = `
  select
    trace_id, retention_class, start_ns, end_ns, span_count, billable_count, unpriced_count, error_count,
    cost_pico, input_tokens, output_tokens, status, span_id, parent_span_id,
    name, service, environment, endpoint, model, provider, user_id, session_id,
    services::text[] as services, models::text[] as models, tags::text[] as tags,
    unpriced_models::text[] as unpriced_models, unpriced_services::text[] as unpriced_services,
    days::date[] as days, sealed
  from unnest(
    $2::uuid[], $3::int2[], $4::int8[], $5::int8[], $6::int4[], $7::int4[], $8::int4[], $9::int4[],
    $10::numeric[], $11::int8[], $12::int8[], $13::int2[], $14::int8[], $15::int8[],
    $16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[],
    $24::text[], $25::text[], $26::text[], $27::text[], $28::text[], $29::text[], $30::bytea[]
  ) as sent (
    trace_id, retention_class, start_ns, end_ns, span_count, billable_count, unpriced_count, error_count,
    cost_pico, input_tokens, output_tokens, status, span_id, parent_span_id,
    name, service, environment, endpoint, model, provider, user_id, session_id,
    services, models, tags, unpriced_models, unpriced_services, days, sealed
  )
`;

function valuesOf(tenantId: string, rows: readonly TraceRow[]): unknown[] {
  return [
    tenantId,
    uuids(rows.map((row) => row.traceId)),
    smallints(rows.map((row) => row.retentionClass)),
    bigints(rows.map((row) => row.startNs)),
    bigints(rows.map((row) => row.endNs)),
    ints(rows.map((row) => row.spanCount)),
    ints(rows.map((row) => row.billableCount)),
    ints(rows.map((row) => row.unpricedCount)),
    ints(rows.map((row) => row.errorCount)),
    numerics(rows.map((row) => row.costPico)),
    integers(rows.map((row) => row.inputTokens)),
    integers(rows.map((row) => row.outputTokens)),
    smallints(rows.map((row) => row.status)),
    bigints(rows.map((row) => row.spanId)),
    bigints(rows.map((row) => row.parentSpanId)),
    texts(rows.map((row) => row.name)),
    texts(rows.map((row) => row.service)),
    texts(rows.map((row) => row.environment)),
    texts(rows.map((row) => row.endpoint)),
    texts(rows.map((row) => row.model)),
    texts(rows.map((row) => row.provider)),
    texts(rows.map((row) => row.userId)),
    texts(rows.map((row) => row.sessionId)),
    texts(rows.map((row) => arrayLiteral(row.services))),
    texts(rows.map((row) => arrayLiteral(row.models))),
    texts(rows.map((row) => arrayLiteral(row.tags))),
    texts(rows.map((row) => arrayLiteral(row.unpricedModels))),
    texts(rows.map((row) => arrayLiteral(row.unpricedServices))),
    texts(rows.map((row) => arrayLiteral(row.days.map(isoDay)))),
    byteas(rows.map((row) => row.sealed)),
  ];
}

/**
 * Writes the summaries of traces that did not exist and returns their ids; those that exist already are left alone.
 * Rows go in by id, so that two writers of the same traces wait for each other instead of deadlocking.
 */
export async function insertNewTraces(sql: Sql, tenantId: string, rows: readonly TraceRow[]): Promise<Set<string>> {
  if (rows.length === 0) return new Set();
  const { rows: inserted } = await sql.query<{ traceId: string }>(
    `
      insert into traces (tenant_id, trace_id, ${COLUMN_LIST})
      select $1::uuid, *
      from (${FROM_ARRAYS}) as ordered
      order by trace_id
      on conflict (tenant_id, trace_id) do nothing
      returning replace(trace_id::text, '-', '') as "traceId"
    `,
    valuesOf(tenantId, rows),
    'insert_traces',
  );
  return new Set(inserted.map(({ traceId }) => traceId));
}

/** What a writer needs of a summary to merge into it. */
export type TraceState = Pick<
  TraceRow,
  | 'traceId'
  | 'retentionClass'
  | 'startNs'
  | 'endNs'
  | 'spanCount'
  | 'billableCount'
  | 'unpricedCount'
  | 'errorCount'
  | 'costPico'
  | 'inputTokens'
  | 'outputTokens'
  | 'status'
  | 'service'
  | 'environment'
  | 'endpoint'
  | 'userId'
  | 'services'
  | 'models'
  | 'tags'
  | 'unpricedModels'
  | 'unpricedServices'
  | 'days'
> & { sealed: Buffer };

/** Locks existing summaries until the transaction ends, in the order of their ids. */
export async function lockTraces(sql: Sql, tenantId: string, traceIds: readonly string[]): Promise<TraceState[]> {
  if (traceIds.length === 0) return [];
  type Sent = Omit<TraceState, 'startNs' | 'endNs' | 'costPico' | 'inputTokens' | 'outputTokens'> &
    Record<'startNs' | 'endNs' | 'costPico' | 'inputTokens' | 'outputTokens', string>;
  const { rows } = await sql.query<Sent>(
    `
      select locked.*
      from unnest($2::uuid[]) as wanted (trace_id)
      cross join lateral (
        select
          replace(trace_id::text, '-', '') as "traceId",
          retention_class as "retentionClass",
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
          service,
          environment,
          endpoint,
          user_id as "userId",
          services,
          models,
          tags,
          unpriced_models as "unpricedModels",
          unpriced_services as "unpricedServices",
          array(select day - date '1970-01-01' from unnest(days) as day) as "days",
          sealed
        from traces
        where tenant_id = $1 and traces.trace_id = wanted.trace_id
        for update
      ) as locked
    `,
    // uuids sort in PostgreSQL as their digits do here
    [tenantId, uuids([...traceIds].sort())],
  );
  return rows.map((row) => ({
    ...row,
    startNs: BigInt(row.startNs),
    endNs: BigInt(row.endNs),
    costPico: BigInt(row.costPico),
    inputTokens: Number(row.inputTokens),
    outputTokens: Number(row.outputTokens),
  }));
}

/** Overwrites locked summaries. */
export async function updateTraces(sql: Sql, tenantId: string, rows: readonly TraceRow[]): Promise<void> {
  if (rows.length === 0) return;
  await sql.query(
    `
      update traces
      set (${COLUMN_LIST}) = (
        sent.retention_class, sent.start_ns, sent.end_ns, sent.span_count, sent.billable_count, sent.unpriced_count,
        sent.error_count, sent.cost_pico, sent.input_tokens, sent.output_tokens, sent.status, sent.span_id,
        sent.parent_span_id, sent.name, sent.service, sent.environment, sent.endpoint, sent.model, sent.provider,
        sent.user_id, sent.session_id, sent.services, sent.models, sent.tags,
        sent.unpriced_models, sent.unpriced_services, sent.days, sent.sealed
      )
      from (${FROM_ARRAYS}) as sent
      where traces.tenant_id = $1::uuid and traces.trace_id = sent.trace_id
    `,
    valuesOf(tenantId, rows),
  );
}

/** How many of the traces exist. */
export async function countTraces(sql: Sql, tenantId: string, traceIds: readonly string[]): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    `
      select count(*)::int as count
      from traces
      where tenant_id = $1 and trace_id = any ($2::uuid[])
    `,
    [tenantId, uuids(traceIds)],
  );
  return rows[0]?.count ?? 0;
}

/**
 * Takes out summaries of traces whose last day is longer ago than they are kept, at most `most`, oldest first; their
 * spans and blocks go with the partitions. `today` counts days since 1970. Returns how many went.
 */
export async function deleteExpiredTraces(sql: Sql, tenantId: string, today: number, most: number): Promise<number> {
  const { rowCount } = await sql.query(
    `
      with expired as (
        select trace_id
        from traces
        where tenant_id = $1
          and start_ns < ($2::bigint - 1) * 86400000000000
          and days[cardinality(days)] + 1 + retention_class <= $3::date
        order by start_ns
        limit $4
      )
      delete from traces
      where tenant_id = $1 and trace_id in (select trace_id from expired)
    `,
    [tenantId, today, isoDay(today), most],
  );
  return rowCount;
}
