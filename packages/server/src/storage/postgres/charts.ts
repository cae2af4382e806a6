// SQL of charts. A range is cut into whole days, hours and minutes, which are read from the rollups; what is left over of
// a minute at either end is read from the rows. So every figure is exactly what the list with the same range adds up to,
// and a chart of thirty days reads some ninety cells per value however many spans they hold.
import { bucketOf, Sketch } from '@lumatrace/telemetry';
import type { Sql } from '../database.ts';
import { bigints, ints, smallints } from './binary.ts';
import { DIMENSIONS, TIER_MINUTES, TIERS, type Dimension, type Tier } from './rollups.ts';

/** Traces that began from `fromNs` until before `untilNs`. */
export interface Range {
  fromNs: bigint;
  untilNs: bigint;
}

/** What the traces that began in a range, or in one step of it, add to one key. */
export interface ChartCell {
  /** Empty: these have no such name. */
  key: string;
  /** Start of the step, minutes since 1970; 0 when the range was not divided. */
  minute: number;
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
  /** Milliseconds of traces or of model calls, by the dimension; empty unless asked for. */
  latency: Sketch;
}

export interface ChartQuestion {
  dimension: Dimension;
  /** Steps are aligned to 1970; undivided when left out. */
  stepMinutes?: number;
  latency?: boolean;
  /** The sums that are read, all of them unless told. */
  needs?: readonly Sum[];
}

const MINUTE_NS = 60_000_000_000n;
/** Longer than any range, so that all of it falls into one step. */
const UNDIVIDED = 1 << 30;

/** Slots of one tier, `until` exclusive. */
export interface Piece {
  tier: Tier;
  from: number;
  until: number;
}

/** A range in ns as whole slots, the largest possible, and what is left of a slot at either end. */
export function piecesOf({ fromNs, untilNs }: Range, tiers: readonly Tier[]): { pieces: Piece[]; edges: Range[] } {
  const pieces: Piece[] = [];
  const smallest = tiers.at(-1) as Tier;
  const lengthNs = BigInt(TIER_MINUTES[smallest]) * MINUTE_NS;
  const first = (fromNs + lengthNs - 1n) / lengthNs;
  const last = untilNs / lengthNs;
  if (first >= last) return { pieces, edges: [{ fromNs, untilNs }] };
  const edges = [
    { fromNs, untilNs: first * lengthNs },
    { fromNs: last * lengthNs, untilNs },
  ].filter((edge) => edge.fromNs < edge.untilNs);
  cut(pieces, tiers, Number(first) * TIER_MINUTES[smallest], Number(last) * TIER_MINUTES[smallest]);
  return { pieces, edges };
}

/** Minutes `from` until before `until`, both on a border of the last of `tiers`. */
function cut(pieces: Piece[], tiers: readonly Tier[], from: number, until: number): void {
  const [tier, ...smaller] = tiers;
  if (tier === undefined || from >= until) return;
  const length = TIER_MINUTES[tier];
  const first = Math.ceil(from / length);
  const last = Math.floor(until / length);
  if (first >= last) return cut(pieces, smaller, from, until);
  cut(pieces, smaller, from, first * length);
  pieces.push({ tier, from: first, until: last });
  cut(pieces, smaller, last * length, until);
}

/** The tiers whose slots lie whole within one step, the largest first. */
function tiersFor({ dimension, stepMinutes = UNDIVIDED }: ChartQuestion): Tier[] {
  if (dimension === 'user' || dimension === 'tag') return ['week', 'day'];
  const tiers: Tier[] = ['day', 'hour', 'minute'];
  return stepMinutes === UNDIVIDED ? tiers : tiers.filter((tier) => stepMinutes % TIER_MINUTES[tier] === 0);
}

const WHOLE = `
  1::bigint as traces, (unpriced_count > 0)::int::bigint as unpriced_traces, span_count::bigint as spans,
  error_count::bigint as errors, billable_count::bigint as billable, unpriced_count::bigint as unpriced,
  cost_pico, input_tokens, output_tokens, end_ns - start_ns as latency_ns
`;
const NAME_ONLY = `0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::numeric, 0::bigint, 0::bigint, null::bigint`;
const SPAN = `
  0::bigint, 0::bigint, 1::bigint, (s.status = 2)::int::bigint, s.billable::int::bigint,
  (s.billable and s.cost_pico is null)::int::bigint,
  case when s.billable then coalesce(s.cost_pico, 0) else 0 end::numeric,
  case when s.billable then coalesce(s.input_tokens, 0) else 0 end,
  case when s.billable then coalesce(s.output_tokens, 0) else 0 end,
  case
    when coalesce(s.model, '') <> ''
      and coalesce(s.operation, '') in ('', 'chat', 'generate_content', 'text_completion', 'embeddings')
    then s.end_ns - s.start_ns
  end
`;

const wholeTraces = (key: string): string => `select ${key} as key, start_ns, ${WHOLE} from edge`;

// day by day: the planner prunes partitions by the value only when it looks them up one after the other
const spansAs = (key: string): string => `
  select ${key} as key, edge.start_ns, ${SPAN}
  from edge
  cross join lateral unnest(edge.days) as on_day
  cross join lateral (
    select *
    from spans
    where tenant_id = $1 and spans.day = on_day and spans.trace_id = edge.trace_id
    offset 0
  ) as s
`;

const named = (names: string, unpriced: string): string => `
  select key, start_ns, 1::bigint, (key = any (${unpriced}))::int::bigint, ${NAME_ONLY}
  from edge
  cross join lateral unnest(case when '' = any (${unpriced}) then array_append(${names}, '') else ${names} end) as key
`;

/** The same as ingest counts into the cells, from the rows of a few traces. */
const FROM_ROWS: Readonly<Record<Dimension, string>> = {
  traces: wholeTraces(`''`),
  rootService: wholeTraces('service'),
  endpoint: wholeTraces('endpoint'),
  environment: wholeTraces(`coalesce(environment, '')`),
  user: wholeTraces(`coalesce(user_id, '')`),
  traceStatus: wholeTraces('status::text'),
  spans: spansAs(`''`),
  service: `${spansAs('s.service')} union all ${named('services', 'unpriced_services')}`,
  model: `${spansAs(`coalesce(s.model, '')`)} union all ${named('models', 'unpriced_models')}`,
  status: spansAs('s.status::text'),
  tag: named('tags', `'{}'::text[]`),
};

const SUMS = [
  'traces',
  'unpriced_traces',
  'spans',
  'errors',
  'billable',
  'unpriced',
  'cost_pico',
  'input_tokens',
  'output_tokens',
  'latency_ns',
] as const;
export type Sum = (typeof SUMS)[number];

interface Sent {
  key: string;
  minute: number;
  sums: string[];
  /** Of cells: zeros, then buckets and their counts, a list per cell. */
  zeros: string | null;
  buckets: string | null;
  counts: string | null;
  /** Of rows: single latencies in ns. */
  single: string | null;
}

/** Cells in which anything happened, by key and time. */
export async function chartCells(
  sql: Sql,
  tenantId: string,
  range: Range,
  question: ChartQuestion,
): Promise<ChartCell[]> {
  const { dimension, stepMinutes = UNDIVIDED } = question;
  const { pieces, edges } = piecesOf(range, tiersFor(question));
  const { rows } = await sql.query<Sent>(textOf(question, edges.length > 0), [
    tenantId,
    DIMENSIONS[dimension],
    stepMinutes,
    smallints(pieces.map(({ tier }) => TIERS[tier])),
    ints(pieces.map(({ tier }) => TIER_MINUTES[tier])),
    ints(pieces.map(({ from }) => from)),
    ints(pieces.map(({ until }) => until)),
    ...(edges.length === 0
      ? []
      : [bigints(edges.map(({ fromNs }) => fromNs)), bigints(edges.map(({ untilNs }) => untilNs))]),
  ]);
  return rows.map(cellOf);
}

/** The sums that a question is about; the others are left at zero, which halves the work where keys are many. */
function sumOf(name: Sum, { latency = false, needs }: ChartQuestion): string {
  const isNeeded = needs === undefined || needs.includes(name) || (latency && name === 'latency_ns');
  return isNeeded ? `coalesce(sum(${name}), 0)::text` : `'0'`;
}

function textOf(question: ChartQuestion, withEdges: boolean): string {
  const { dimension, latency = false } = question;
  const columns = `${SUMS.join(', ')}, latency_zeros, latency_buckets, latency_counts`;
  const rows = `
    select key, (start_ns / 60000000000)::int / $3::int * $3::int as minute, ${SUMS.join(', ')},
      0 as latency_zeros, null::smallint[] as latency_buckets, null::int[] as latency_counts, latency_ns as single
    from (${FROM_ROWS[dimension]}) as from_rows (key, start_ns, ${SUMS.join(', ')})
  `;
  const sketches = `
    sum(latency_zeros)::text as zeros,
    string_agg(array_to_string(latency_buckets, ','), ',') filter (where latency_buckets <> '{}') as buckets,
    string_agg(array_to_string(latency_counts, ','), ',') filter (where latency_buckets <> '{}') as counts,
    string_agg(single::text, ',') as single
  `;
  const none = `null as zeros, null as buckets, null as counts, null as single`;
  return `
    with ${withEdges ? EDGE : ''} cell as (
      select r.key, r.slot * piece.minutes / $3::int * $3::int as minute, ${columns}, null::bigint as single
      from unnest($4::int2[], $5::int4[], $6::int4[], $7::int4[]) as piece (tier, minutes, from_slot, until_slot)
      cross join lateral (
        select slot, key, ${columns}
        from rollups
        where tenant_id = $1
          and rollups.tier = piece.tier
          and rollups.dimension = $2::smallint
          and slot >= piece.from_slot
          and slot < piece.until_slot
        offset 0
      ) as r
      ${withEdges ? `union all ${rows}` : ''}
    )
    select key, minute, array[${SUMS.map((name) => sumOf(name, question)).join(', ')}] as sums,
      ${latency ? sketches : none}
    from cell
    group by key, minute
    having sum(traces) <> 0 or sum(spans) <> 0
    order by minute, key
  `;
}

const EDGE = `
  edge as materialized (
    select traces.*
    from unnest($8::int8[], $9::int8[]) as ends (from_ns, until_ns)
    cross join lateral (
      select *
      from traces
      where tenant_id = $1 and start_ns >= ends.from_ns and start_ns < ends.until_ns
      offset 0
    ) as traces
  ),
`;

function cellOf({ key, minute, sums, zeros, buckets, counts, single }: Sent): ChartCell {
  const [traces, unpricedTraces, spans, errors, billable, unpriced, cost, input, output, latencyNs] = sums;
  return {
    key,
    minute,
    traces: Number(traces),
    unpricedTraces: Number(unpricedTraces),
    spans: Number(spans),
    errors: Number(errors),
    billable: Number(billable),
    unpriced: Number(unpriced),
    costPico: BigInt(cost ?? '0'),
    inputTokens: Number(input),
    outputTokens: Number(output),
    latencyNs: BigInt(latencyNs ?? '0'),
    latency: sketchOf(Number(zeros ?? 0), numbersOf(buckets), numbersOf(counts), numbersOf(single)),
  };
}

const numbersOf = (list: string | null): number[] => (list === null || list === '' ? [] : list.split(',').map(Number));

/** Counts of equal buckets are added up; deltas that take back what another delta holds cancel out. */
function sketchOf(zeros: number, buckets: number[], counts: number[], singleNs: number[]): Sketch {
  let none = zeros;
  const filled = new Map<number, number>();
  const add = (bucket: number, count: number): void => void filled.set(bucket, (filled.get(bucket) ?? 0) + count);
  for (const [i, bucket] of buckets.entries()) add(bucket, counts[i] ?? 0);
  for (const ns of singleNs) {
    if (ns < 1) none++;
    else add(bucketOf(ns / 1e6), 1);
  }
  const sorted = [...filled].filter(([, count]) => count > 0).sort(([a], [b]) => a - b);
  return Sketch.from({
    zeros: Math.max(0, none),
    indices: sorted.map(([bucket]) => bucket),
    counts: sorted.map(([, count]) => count),
  });
}

export type LatencyGroup = 'service' | 'model' | 'endpoint';
export const LATENCY_GROUPS: readonly LatencyGroup[] = ['service', 'model', 'endpoint'];

export interface ExactLatency {
  key: string;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
}

const PERCENTILES = `
  percentile_cont(0.50) within group (order by latency_ms) as "p50Ms",
  percentile_cont(0.95) within group (order by latency_ms) as "p95Ms",
  percentile_cont(0.99) within group (order by latency_ms) as "p99Ms"
`;

const LATENCIES: Readonly<Record<LatencyGroup | 'all', string>> = {
  all: `select '' as key, (end_ns - start_ns) / 1e6::float8 as latency_ms from begun`,
  service: `select service as key, (end_ns - start_ns) / 1e6::float8 as latency_ms from begun`,
  endpoint: `select endpoint as key, (end_ns - start_ns) / 1e6::float8 as latency_ms from begun`,
  model: `
    select s.model as key, (s.end_ns - s.start_ns) / 1e6::float8 as latency_ms
    from begun
    cross join lateral unnest(begun.days) as on_day
    cross join lateral (
      select model, start_ns, end_ns
      from spans
      where tenant_id = $1 and spans.day = on_day and spans.trace_id = begun.trace_id
        and model <> '' and coalesce(operation, '') in ('', 'chat', 'generate_content', 'text_completion', 'embeddings')
      offset 0
    ) as s
  `,
};

/** Percentiles of the rows themselves, interpolated between neighbours: for ranges with few traces. */
export async function exactLatencies(
  sql: Sql,
  tenantId: string,
  range: Range,
  group: LatencyGroup | 'all',
): Promise<ExactLatency[]> {
  const { rows } = await sql.query<ExactLatency>(
    `
      with begun as materialized (
        select trace_id, service, endpoint, start_ns, end_ns, days
        from traces
        where tenant_id = $1 and start_ns >= $2 and start_ns < $3
      )
      select key, ${PERCENTILES}
      from (${LATENCIES[group]}) as taken
      group by key
    `,
    [tenantId, range.fromNs, range.untilNs],
  );
  return rows;
}
