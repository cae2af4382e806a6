// SQL of rollups: appended deltas per minute and dimension, written in the transaction of their spans and merged later.
import type { Sql } from '../database.ts';
import { arrayLiteral, integers, ints, numerics, smallints, texts } from './binary.ts';

/** What the spans of one minute with the same dimensions add; negative where spans are taken back. */
export interface RollupDelta {
  /** Minutes since 1970, of the start. */
  minute: number;
  service: string;
  model: string;
  provider: string;
  operation: string;
  environment: string;
  /** 0 unset, 1 ok, 2 error. */
  status: number;
  spans: number;
  billable: number;
  unpriced: number;
  costPico: bigint;
  inputTokens: number;
  outputTokens: number;
  latencyZeros: number;
  /** DDSketch bucket → count. */
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
        tenant_id, minute, service, model, provider, operation, environment, status,
        spans, billable, unpriced, cost_pico, input_tokens, output_tokens,
        latency_zeros, latency_buckets, latency_counts
      )
      select
        $1::uuid, minute, service, model, provider, operation, environment, status,
        spans, billable, unpriced, cost_pico, input_tokens, output_tokens,
        zeros, buckets::smallint[], counts::int[]
      from unnest(
        $2::int4[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int2[],
        $9::int8[], $10::int8[], $11::int8[], $12::numeric[], $13::int8[], $14::int8[],
        $15::int4[], $16::text[], $17::text[]
      ) as delta (
        minute, service, model, provider, operation, environment, status,
        spans, billable, unpriced, cost_pico, input_tokens, output_tokens,
        zeros, buckets, counts
      )
    `,
    [
      tenantId,
      ints(deltas.map(({ minute }) => minute)),
      texts(deltas.map(({ service }) => service)),
      texts(deltas.map(({ model }) => model)),
      texts(deltas.map(({ provider }) => provider)),
      texts(deltas.map(({ operation }) => operation)),
      texts(deltas.map(({ environment }) => environment)),
      smallints(deltas.map(({ status }) => status)),
      integers(deltas.map(({ spans }) => spans)),
      integers(deltas.map(({ billable }) => billable)),
      integers(deltas.map(({ unpriced }) => unpriced)),
      numerics(deltas.map(({ costPico }) => costPico)),
      integers(deltas.map(({ inputTokens }) => inputTokens)),
      integers(deltas.map(({ outputTokens }) => outputTokens)),
      ints(deltas.map(({ latencyZeros }) => latencyZeros)),
      texts(sketches.map((sketch) => arrayLiteral(sketch.map(([bucket]) => bucket)))),
      texts(sketches.map((sketch) => arrayLiteral(sketch.map(([, count]) => count)))),
    ],
  );
}

/**
 * Merges the deltas of each cell from minute `from` until before `until` into one row; cells that add up to nothing
 * vanish. Readers see either the deltas or their sum. At most a day of minutes at once, the earliest. Returns how many
 * rows went and came.
 */
export async function compactRollups(
  sql: Sql,
  tenantId: string,
  { from, until }: { from: number; until: number },
): Promise<{ before: number; after: number }> {
  const { rows } = await sql.query<{ before: number; after: number }>(
    `
      with crowded as (
        select minute
        from rollups
        where tenant_id = $1 and minute >= $2 and minute < $3
        group by minute
        having count(*) > count(distinct (service, model, provider, operation, environment, status))
        order by minute
        limit 1440
      ), gone as (
        delete from rollups
        where tenant_id = $1 and minute in (select minute from crowded)
        returning *
      ), cell as (
        select
          minute, service, model, provider, operation, environment, status,
          sum(spans) as spans, sum(billable) as billable, sum(unpriced) as unpriced, sum(cost_pico) as cost_pico,
          sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens, sum(latency_zeros) as latency_zeros
        from gone
        group by minute, service, model, provider, operation, environment, status
      ), bucket as (
        select
          minute, service, model, provider, operation, environment, status, bucket, sum(count) as count
        from gone, unnest(latency_buckets, latency_counts) as filled (bucket, count)
        group by minute, service, model, provider, operation, environment, status, bucket
        having sum(count) <> 0
      ), sketch as (
        select
          minute, service, model, provider, operation, environment, status,
          array_agg(bucket order by bucket) as buckets, array_agg(count::int order by bucket) as counts
        from bucket
        group by minute, service, model, provider, operation, environment, status
      ), come as (
        insert into rollups (
          tenant_id, minute, service, model, provider, operation, environment, status,
          spans, billable, unpriced, cost_pico, input_tokens, output_tokens,
          latency_zeros, latency_buckets, latency_counts
        )
        select
          $1, minute, service, model, provider, operation, environment, status,
          spans, billable, unpriced, cost_pico, input_tokens, output_tokens,
          latency_zeros, coalesce(buckets, '{}'), coalesce(counts, '{}')
        from cell
        left join sketch using (minute, service, model, provider, operation, environment, status)
        where spans <> 0
        returning 1
      )
      select (select count(*) from gone)::int as before, (select count(*) from come)::int as after
    `,
    [tenantId, from, until],
  );
  return rows[0] ?? { before: 0, after: 0 };
}

/** Takes out the cells of minutes before `minute`. */
export async function deleteRollups(sql: Sql, tenantId: string, minute: number): Promise<number> {
  const { rowCount } = await sql.query(
    `
      delete from rollups
      where tenant_id = $1 and minute < $2
    `,
    [tenantId, minute],
  );
  return rowCount;
}
