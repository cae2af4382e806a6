// SQL of rollups: appended deltas per minute, hour and day for one dimension each, written in the transaction of their
// spans and merged later. Everything counts to the minute in which its trace begins, as the lists of traces do.
import type { Sql } from '../database.ts';
import { arrayLiteral, integers, ints, numerics, smallints, texts } from './binary.ts';

/** Minutes of a slot of each tier, and the number by which the table knows it. */
export const TIERS = { minute: 0, hour: 1, day: 2, week: 3 } as const;
export type Tier = keyof typeof TIERS;
export const TIER_MINUTES: Readonly<Record<Tier, number>> = { minute: 1, hour: 60, day: 1_440, week: 10_080 };

/**
 * What a cell is about. Of whole traces (their cost, their latency): all, the service of the root, and so on. Of spans
 * (cost of the calls, latency of model calls): all, service, model, status; there `traces` counts the traces in which a
 * service or a model occurs, as for tags. Users and tags are many, so they have days and weeks only.
 */
export const DIMENSIONS = {
  traces: 0,
  rootService: 1,
  endpoint: 2,
  environment: 3,
  user: 4,
  traceStatus: 5,
  spans: 6,
  service: 7,
  model: 8,
  status: 9,
  tag: 10,
} as const;
export type Dimension = keyof typeof DIMENSIONS;

/** What some spans or traces of one slot add to one key; negative where they are taken back. */
export interface RollupDelta {
  tier: Tier;
  dimension: Dimension;
  /** Minutes, hours, days or weeks since 1970. */
  slot: number;
  /** Empty: none. */
  key: string;
  traces: number;
  unpricedTraces: number;
  spans: number;
  errors: number;
  billable: number;
  unpriced: number;
  costPico: bigint;
  inputTokens: number;
  outputTokens: number;
  latencyNs: bigint;
  latencyZeros: number;
  /** DDSketch bucket → count, in milliseconds. */
  latency: Map<number, number>;
}

export async function insertRollups(sql: Sql, tenantId: string, deltas: readonly RollupDelta[]): Promise<void> {
  if (deltas.length === 0) return;
  const sketches = deltas.map(({ latency }) =>
    [...latency].filter(([, count]) => count !== 0).sort(([a], [b]) => a - b),
  );
  await sql.query(
    `
      insert into rollups (
        tenant_id, tier, dimension, slot, key,
        traces, unpriced_traces, spans, errors, billable, unpriced, cost_pico, input_tokens, output_tokens,
        latency_ns, latency_zeros, latency_buckets, latency_counts
      )
      select
        $1::uuid, tier, dimension, slot, key,
        traces, unpriced_traces, spans, errors, billable, unpriced, cost_pico, input_tokens, output_tokens,
        latency_ns, zeros, buckets::smallint[], counts::int[]
      from unnest(
        $2::int2[], $3::int2[], $4::int4[], $5::text[],
        $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], $11::int8[], $12::numeric[], $13::int8[], $14::int8[],
        $15::numeric[], $16::int4[], $17::text[], $18::text[]
      ) as delta (
        tier, dimension, slot, key,
        traces, unpriced_traces, spans, errors, billable, unpriced, cost_pico, input_tokens, output_tokens,
        latency_ns, zeros, buckets, counts
      )
    `,
    [
      tenantId,
      smallints(deltas.map(({ tier }) => TIERS[tier])),
      smallints(deltas.map(({ dimension }) => DIMENSIONS[dimension])),
      ints(deltas.map(({ slot }) => slot)),
      texts(deltas.map(({ key }) => key)),
      integers(deltas.map(({ traces }) => traces)),
      integers(deltas.map(({ unpricedTraces }) => unpricedTraces)),
      integers(deltas.map(({ spans }) => spans)),
      integers(deltas.map(({ errors }) => errors)),
      integers(deltas.map(({ billable }) => billable)),
      integers(deltas.map(({ unpriced }) => unpriced)),
      numerics(deltas.map(({ costPico }) => costPico)),
      integers(deltas.map(({ inputTokens }) => inputTokens)),
      integers(deltas.map(({ outputTokens }) => outputTokens)),
      numerics(deltas.map(({ latencyNs }) => latencyNs)),
      ints(deltas.map(({ latencyZeros }) => latencyZeros)),
      texts(sketches.map((sketch) => arrayLiteral(sketch.map(([bucket]) => bucket)))),
      texts(sketches.map((sketch) => arrayLiteral(sketch.map(([, count]) => count)))),
    ],
    'insert_rollups',
  );
}

/** Which slots to merge: from minute `from` until before `until`; slots that end after `settled` still grow. */
export interface MergeRange {
  from: number;
  until: number;
  settled: number;
}

/**
 * Merges the deltas of each cell into one row; cells that add up to nothing vanish. Readers see either the deltas or
 * their sum. A slot that still grows is merged only when that at least halves its rows: a day that receives deltas all
 * day would otherwise be written anew each time. At most `MOST_SLOTS` slots at once. Returns how many rows went and came.
 */
export async function compactRollups(
  sql: Sql,
  tenantId: string,
  { from, until, settled }: MergeRange,
): Promise<{ before: number; after: number }> {
  const { rows } = await sql.query<{ before: number; after: number }>(
    `
      with tiers (tier, minutes) as (
        values (0::smallint, 1), (1::smallint, 60), (2::smallint, 1440), (3::smallint, 10080)
      ), crowded as materialized (
        select r.tier, r.dimension, r.slot
        from tiers
        cross join generate_series(0, 10) as known (dimension)
        cross join lateral (
          select tier, dimension, slot, key
          from rollups
          where tenant_id = $1
            and rollups.tier = tiers.tier
            and rollups.dimension = known.dimension
            and slot >= $2 / minutes
            and slot <= ($3 - 1) / minutes
          offset 0
        ) as r
        group by r.tier, r.dimension, r.slot, minutes
        having count(*) >= case
          when (r.slot + 1)::bigint * minutes <= $4 then count(distinct key) + 1
          else 2 * count(distinct key)
        end
        and count(*) > count(distinct key)
        limit $5
      ), gone as (
        delete from rollups
        using crowded
        where rollups.tenant_id = $1
          and rollups.tier = crowded.tier
          and rollups.dimension = crowded.dimension
          and rollups.slot = crowded.slot
        returning rollups.*
      ), cell as (
        select
          tier, dimension, slot, key,
          sum(traces) as traces, sum(unpriced_traces) as unpriced_traces, sum(spans) as spans, sum(errors) as errors,
          sum(billable) as billable, sum(unpriced) as unpriced, sum(cost_pico) as cost_pico,
          sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens,
          sum(latency_ns) as latency_ns, sum(latency_zeros) as latency_zeros
        from gone
        group by tier, dimension, slot, key
      ), bucket as (
        select tier, dimension, slot, key, bucket, sum(count) as count
        from gone, unnest(latency_buckets, latency_counts) as filled (bucket, count)
        group by tier, dimension, slot, key, bucket
        having sum(count) <> 0
      ), sketch as (
        select
          tier, dimension, slot, key,
          array_agg(bucket order by bucket) as buckets, array_agg(count::int order by bucket) as counts
        from bucket
        group by tier, dimension, slot, key
      ), come as (
        insert into rollups (
          tenant_id, tier, dimension, slot, key,
          traces, unpriced_traces, spans, errors, billable, unpriced, cost_pico, input_tokens, output_tokens,
          latency_ns, latency_zeros, latency_buckets, latency_counts
        )
        select
          $1, tier, dimension, slot, key,
          traces, unpriced_traces, spans, errors, billable, unpriced, cost_pico, input_tokens, output_tokens,
          latency_ns, latency_zeros, coalesce(buckets, '{}'), coalesce(counts, '{}')
        from cell
        left join sketch using (tier, dimension, slot, key)
        where spans <> 0 or traces <> 0
        returning 1
      )
      select (select count(*) from gone)::int as before, (select count(*) from come)::int as after
    `,
    [tenantId, from, until, settled, MOST_SLOTS],
  );
  return rows[0] ?? { before: 0, after: 0 };
}

/** A thousand slots of some ten keys, each a few deltas: some seconds at worst. */
const MOST_SLOTS = 2_000;

/** Days since 1970 that have cells. */
export async function daysOfRollups(sql: Sql, tenantId: string): Promise<number[]> {
  const { rows } = await sql.query<{ slot: number }>(
    `
      select distinct slot
      from rollups
      where tenant_id = $1 and tier = 2 and dimension in (0, 6)
      order by slot
    `,
    [tenantId],
  );
  return rows.map(({ slot }) => slot);
}

/** Takes out the cells of minutes before `minute`; an hour or a day goes when its last minute has. */
export async function deleteRollups(sql: Sql, tenantId: string, minute: number): Promise<number> {
  const { rowCount } = await sql.query(
    `
      delete from rollups
      using (values (0::smallint, 1), (1::smallint, 60), (2::smallint, 1440), (3::smallint, 10080)) as tiers (tier, minutes)
      where tenant_id = $1 and rollups.tier = tiers.tier and (slot + 1) * minutes <= $2
    `,
    [tenantId, minute],
  );
  return rowCount;
}
