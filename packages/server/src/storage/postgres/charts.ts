// SQL of analytics. Totals come from the rows themselves, for traces that began in the range, so that every figure can
// be followed to the list with the same range; series over time come from the rollups.
import type { Sql } from '../database.ts';

/** Traces that began from `fromNs` until before `untilNs`. */
export interface Range {
  fromNs: bigint;
  untilNs: bigint;
}

export interface CostRow {
  /** null: these traces or calls have no such name. */
  groupKey: string | null;
  costPico: string;
  traceCount: number;
  /** Calls without a price, and in how many traces they are. */
  unpricedCount: number;
  unpricedTraces: number;
}

/** Groups that a trace belongs to as a whole. */
const OF_TRACES = {
  user: 'user_id',
  endpoint: 'endpoint',
  date: `to_char(to_timestamp(start_ns / 1000000000) at time zone 'UTC', 'YYYY-MM-DD')`,
  tenant: 'tenant_id::text',
} as const;
/** Groups that each call of a trace may differ in. */
const OF_CALLS = { model: 's.model', service: 's.service', environment: 's.environment' } as const;

export type CostGroup = keyof typeof OF_TRACES | keyof typeof OF_CALLS;
export const COST_GROUPS = [...Object.keys(OF_CALLS), ...Object.keys(OF_TRACES)] as CostGroup[];

/** Dearest first; `date` in order of time. */
export async function costByGroup(sql: Sql, tenantId: string, range: Range, group: CostGroup): Promise<CostRow[]> {
  if (group in OF_CALLS) await hashJoins(sql);
  const text =
    group in OF_CALLS ? costOfCalls(group as keyof typeof OF_CALLS) : costOfTraces(group as keyof typeof OF_TRACES);
  const { rows } = await sql.query<CostRow>(text, [tenantId, range.fromNs, range.untilNs]);
  return rows;
}

/**
 * Until the rest of the transaction: joins of a whole range are hashed. Before the first analyze of a day the planner
 * takes its partition for nearly empty, loops over an index, and 45,000 traces with their 300,000 spans took more than
 * 30 s instead of 0.3 s.
 */
async function hashJoins(sql: Sql): Promise<void> {
  await sql.query(`select set_config('enable_nestloop', 'off', true)`);
}

function costOfTraces(group: keyof typeof OF_TRACES): string {
  return `
    select
      ${OF_TRACES[group]} as "groupKey",
      sum(cost_pico)::text as "costPico",
      count(*)::int as "traceCount",
      sum(unpriced_count)::int as "unpricedCount",
      (count(*) filter (where unpriced_count > 0))::int as "unpricedTraces"
    from traces
    where tenant_id = $1 and start_ns >= $2 and start_ns < $3
    group by 1
    order by ${group === 'date' ? '1' : 'sum(cost_pico) desc, 1'}
  `;
}

function costOfCalls(group: keyof typeof OF_CALLS): string {
  // no span starts before its trace; a trace may go on for days after the range
  return `
    select
      ${OF_CALLS[group]} as "groupKey",
      coalesce(sum(s.cost_pico), 0)::text as "costPico",
      count(distinct s.trace_id)::int as "traceCount",
      (count(*) filter (where s.cost_pico is null))::int as "unpricedCount",
      (count(distinct s.trace_id) filter (where s.cost_pico is null))::int as "unpricedTraces"
    from traces t
    join spans s on s.tenant_id = t.tenant_id and s.trace_id = t.trace_id
    where t.tenant_id = $1 and t.start_ns >= $2 and t.start_ns < $3
      and s.tenant_id = $1 and s.billable
      and s.day >= (to_timestamp($2::bigint / 1000000000) at time zone 'UTC')::date
      and s.start_ns >= $2
    group by 1
    order by sum(s.cost_pico) desc nulls last, 1
  `;
}

export interface TotalRow {
  costPico: string;
  traceCount: number;
  unpricedCount: number;
  unpricedTraces: number;
}

export async function totalCost(sql: Sql, tenantId: string, range: Range): Promise<TotalRow> {
  const { rows } = await sql.query<TotalRow>(
    `
      select
        coalesce(sum(cost_pico), 0)::text as "costPico",
        count(*)::int as "traceCount",
        coalesce(sum(unpriced_count), 0)::int as "unpricedCount",
        (count(*) filter (where unpriced_count > 0))::int as "unpricedTraces"
      from traces
      where tenant_id = $1 and start_ns >= $2 and start_ns < $3
    `,
    [tenantId, range.fromNs, range.untilNs],
  );
  return rows[0] ?? { costPico: '0', traceCount: 0, unpricedCount: 0, unpricedTraces: 0 };
}

export interface LatencyRow {
  groupKey: string | null;
  count: number;
  avgMs: number | null;
  p50Ms: number | null;
  p95Ms: number | null;
  p99Ms: number | null;
}

/** Exact, with linear interpolation between neighbours (percentile_cont). */
const FIGURES = `
  count(*)::int as count,
  avg(latency_ms)::float8 as "avgMs",
  percentile_cont(0.50) within group (order by latency_ms) as "p50Ms",
  percentile_cont(0.95) within group (order by latency_ms) as "p95Ms",
  percentile_cont(0.99) within group (order by latency_ms) as "p99Ms"
`;

/** Calls of models, failed ones too, without the wrappers around them. */
const IS_CALL = `model <> '' and coalesce(operation, '') in ('', 'chat', 'generate_content', 'text_completion', 'embeddings')`;

export type LatencyGroup = 'service' | 'model' | 'endpoint';
export const LATENCY_GROUPS: readonly LatencyGroup[] = ['service', 'model', 'endpoint'];

/** Traces by their service or endpoint; calls of models by model. The most frequent first. */
export async function latencyByGroup(
  sql: Sql,
  tenantId: string,
  range: Range,
  group: LatencyGroup,
): Promise<LatencyRow[]> {
  if (group === 'model') await hashJoins(sql);
  const { rows } = await sql.query<LatencyRow>(group === 'model' ? LATENCY_OF_CALLS : latencyOfTraces(group), [
    tenantId,
    range.fromNs,
    range.untilNs,
  ]);
  return rows;
}

function latencyOfTraces(group: 'service' | 'endpoint'): string {
  return `
    select "groupKey", ${FIGURES}
    from (
      select ${group} as "groupKey", (end_ns - start_ns) / 1e6::float8 as latency_ms
      from traces
      where tenant_id = $1 and start_ns >= $2 and start_ns < $3
    ) as trace
    group by "groupKey"
    order by count desc, "groupKey"
  `;
}

const LATENCY_OF_CALLS = `
  select "groupKey", ${FIGURES}
  from (
    select s.model as "groupKey", (s.end_ns - s.start_ns) / 1e6::float8 as latency_ms
    from traces t
    join (
      select trace_id, model, start_ns, end_ns
      from spans
      where tenant_id = $1 and ${IS_CALL}
        and day >= (to_timestamp($2::bigint / 1000000000) at time zone 'UTC')::date
        and start_ns >= $2
    ) as s on s.trace_id = t.trace_id
    where t.tenant_id = $1 and t.start_ns >= $2 and t.start_ns < $3
  ) as call
  group by "groupKey"
  order by count desc, "groupKey"
`;

export async function latencyOfAll(sql: Sql, tenantId: string, range: Range): Promise<LatencyRow> {
  const { rows } = await sql.query<LatencyRow>(
    `
      select null as "groupKey", ${FIGURES}
      from (
        select (end_ns - start_ns) / 1e6::float8 as latency_ms
        from traces
        where tenant_id = $1 and start_ns >= $2 and start_ns < $3
      ) as trace
    `,
    [tenantId, range.fromNs, range.untilNs],
  );
  return rows[0] ?? { groupKey: null, count: 0, avgMs: null, p50Ms: null, p95Ms: null, p99Ms: null };
}

export interface SeriesRow {
  groupKey: string | null;
  /** Start of the step, minutes since 1970. */
  minute: number;
  value: string;
}

export type SeriesGroup = 'none' | 'service' | 'model' | 'status';

const ROLLUP_GROUPS: Readonly<Record<SeriesGroup, string>> = {
  none: 'null::text',
  service: 'service',
  model: `nullif(model, '')`,
  status: 'status::text',
};
const ROLLUP_METRICS = {
  cost: 'cost_pico',
  tokens: 'input_tokens + output_tokens',
  spans: 'spans',
  errors: 'case when status = 2 then spans else 0 end',
} as const;
export type RollupMetric = keyof typeof ROLLUP_METRICS;

/** Steps from minute `from` until before `until`, `stepMinutes` each, aligned to 1970. */
export interface Steps {
  from: number;
  until: number;
  stepMinutes: number;
}

/** Sums of a metric per step, from the rollups; steps without spans are left out. */
export async function rollupSeries(
  sql: Sql,
  tenantId: string,
  steps: Steps,
  metric: RollupMetric,
  group: SeriesGroup,
): Promise<SeriesRow[]> {
  const { rows } = await sql.query<SeriesRow>(
    `
      select
        ${ROLLUP_GROUPS[group]} as "groupKey",
        minute / $4 * $4 as minute,
        sum(${ROLLUP_METRICS[metric]})::text as value
      from rollups
      where tenant_id = $1 and minute >= $2 and minute < $3
        ${group === 'model' ? `and model <> ''` : ''}
      group by 1, 2
      having sum(spans) <> 0
      order by 1, 2
    `,
    [tenantId, steps.from, steps.until, steps.stepMinutes],
  );
  return rows;
}

const TRACE_GROUPS: Readonly<Record<SeriesGroup, string>> = {
  none: 'null::text',
  service: 'service',
  model: 'model',
  status: 'status::text',
};

/** Traces that began in each step, from their summaries. */
export async function traceSeries(sql: Sql, tenantId: string, steps: Steps, group: SeriesGroup): Promise<SeriesRow[]> {
  const { rows } = await sql.query<SeriesRow>(
    `
      select
        ${TRACE_GROUPS[group]} as "groupKey",
        (start_ns / 60000000000 / $4 * $4)::int as minute,
        count(*)::text as value
      from traces
      where tenant_id = $1 and start_ns >= $2::bigint * 60000000000 and start_ns < $3::bigint * 60000000000
      group by 1, 2
      order by 1, 2
    `,
    [tenantId, steps.from, steps.until, steps.stepMinutes],
  );
  return rows;
}

export interface SketchRow {
  groupKey: string | null;
  minute: number;
  zeros: number;
  /** Ascending. */
  buckets: number[];
  counts: number[];
}

/** The latency sketches of model calls per step, merged here: counts of equal buckets are added up. */
export async function sketchSeries(sql: Sql, tenantId: string, steps: Steps, group: SeriesGroup): Promise<SketchRow[]> {
  const { rows } = await sql.query<SketchRow>(
    `
      with cell as (
        select
          ${ROLLUP_GROUPS[group]} as "groupKey",
          minute / $4 * $4 as minute,
          latency_zeros, latency_buckets, latency_counts
        from rollups
        where tenant_id = $1 and minute >= $2 and minute < $3 and ${IS_CALL}
      ), zero as (
        select "groupKey", minute, sum(latency_zeros)::int as zeros
        from cell
        group by 1, 2
      ), bucket as (
        select "groupKey", minute, bucket, sum(count)::int as count
        from cell, unnest(latency_buckets, latency_counts) as filled (bucket, count)
        group by 1, 2, 3
        having sum(count) > 0
      ), sketch as (
        select
          "groupKey", minute,
          array_agg(bucket order by bucket) as buckets, array_agg(count order by bucket) as counts
        from bucket
        group by 1, 2
      )
      select zero."groupKey", zero.minute, zeros, coalesce(buckets, '{}') as buckets, coalesce(counts, '{}') as counts
      from zero
      left join sketch on sketch.minute = zero.minute and sketch."groupKey" is not distinct from zero."groupKey"
      where zeros > 0 or buckets is not null
      order by 1, 2
    `,
    [tenantId, steps.from, steps.until, steps.stepMinutes],
  );
  return rows;
}
