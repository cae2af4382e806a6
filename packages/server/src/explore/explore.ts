// The way out: lists, one trace, costs, latencies, series and facets, each from the smallest table that can answer it.
import { setImmediate as breathe } from 'node:timers/promises';
import { Sketch, usdOf } from '@lumatrace/telemetry';
import { divideHalfEven } from '@lumatrace/telemetry/decimal.ts';
import type { TenantKey, TenantKeys } from '../keys/tenant-key.ts';
import { decodeBlock, spanFrom, statusName, type ContentBlock } from '../storage/content-block.ts';
import type { Database } from '../storage/database.ts';
import {
  costByGroup,
  latencyByGroup,
  latencyOfAll,
  rollupSeries,
  sketchSeries,
  totalCost,
  traceSeries,
  type CostGroup,
  type LatencyGroup,
  type LatencyRow,
  type Range,
  type RollupMetric,
  type SeriesGroup,
  type SeriesRow,
  type Steps,
} from '../storage/postgres/charts.ts';
import { blockAad, readBlocks } from '../storage/postgres/content.ts';
import { spansOfTrace, type SpanRow } from '../storage/postgres/spans.ts';
import {
  countListed,
  findTrace,
  hasTraces,
  listFacets,
  listTraces,
  type FacetRow,
  type TraceFilter,
} from '../storage/postgres/trace-list.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { spanItem, traceItem, type SpanItem, type TraceItem } from './item.ts';
import { ExploreRefusal } from './refusal.ts';

export { COST_GROUPS, LATENCY_GROUPS } from '../storage/postgres/charts.ts';
export type { TraceFilter } from '../storage/postgres/trace-list.ts';

export interface ExploreOptions {
  database: Database;
  tenantKeys: TenantKeys;
  /** 32 bytes, for this use alone. */
  cursorKey: Uint8Array;
}

export interface TracePage {
  data: TraceItem[];
  pagination: { total?: number; limit: number; offset?: number; nextCursor: string | null; hasMore: boolean };
}

export interface TraceAnswer extends TraceItem {
  spans: SpanItem[];
  /** True when the trace has more spans than one answer holds; the earliest are here. */
  spans_truncated: boolean;
}

export interface CostAnswer {
  totalCost: string;
  avgCost: string;
  traceCount: number;
  unpricedCount: number;
  unpricedTraces: number;
  breakdown: Array<{
    groupKey: string | null;
    totalCost: string;
    traceCount: number;
    unpricedCount: number;
    unpricedTraces: number;
  }>;
}

export interface LatencyFigures {
  avgLatency: number | null;
  p50Latency: number | null;
  p95Latency: number | null;
  p99Latency: number | null;
  count: number;
}

export interface LatencyAnswer extends LatencyFigures {
  breakdown: Array<LatencyFigures & { groupKey: string | null; traceCount: number }>;
}

export type Metric = RollupMetric | 'traces' | 'latency';

export interface SeriesPoint {
  t: string;
  /** Decimal text for cost. */
  value?: string | number;
  p50?: number;
  p95?: number;
  p99?: number;
  count?: number;
}

export interface SeriesAnswer {
  intervalMs: number;
  startDate: string;
  endDate: string;
  /** Groups beyond the largest, left out. */
  omittedSeries: number;
  series: Array<{ groupKey: string | null; points: SeriesPoint[] }>;
}

export type FacetsAnswer = Record<
  'services' | 'models' | 'environments' | 'tags' | 'users' | 'statuses',
  Array<{ value: string; count: number }>
>;

export interface Explore {
  list(
    tenantId: string,
    filter: TraceFilter,
    page: { cursor?: string; limit: number; offset?: number },
  ): Promise<TracePage>;
  /** Throws ExploreRefusal NOT_FOUND for what is not there and for what is another tenant's. */
  trace(tenantId: string, traceId: string): Promise<TraceAnswer>;
  cost(tenantId: string, range: Range, group: CostGroup): Promise<CostAnswer>;
  latency(tenantId: string, range: Range, group: LatencyGroup): Promise<LatencyAnswer>;
  series(
    tenantId: string,
    question: { range: Range; metric: Metric; group: SeriesGroup; intervalMs: number | 'auto' },
  ): Promise<SeriesAnswer>;
  facets(tenantId: string, range: Range): Promise<FacetsAnswer>;
  /** Whether anything has ever arrived. */
  hasSpans(tenantId: string): Promise<boolean>;
}

/** Counting further would read the whole table for a number that nobody reads. */
const MAX_COUNTED = 10_000;
const MAX_SPANS_SHOWN = 50_000;
const BLOCKS_PER_BREATH = 8;
const SPANS_PER_BREATH = 500;
const MAX_FACET_VALUES = 100;
const MAX_SERIES = 50;
const MINUTE_NS = 60_000_000_000n;
const MINUTE_MS = 60_000;
const AUTO_POINTS = 120;
const MAX_POINTS = 2_000;
/** Minutes of a step that a person reads easily. */
const STEP_MINUTES = [1, 5, 15, 30, 60, 180, 360, 720, 1_440, 10_080];

export function createExplore(options: ExploreOptions): Explore {
  const { database, tenantKeys, cursorKey } = options;
  return {
    async list(tenantId, filter, { cursor, limit, offset }) {
      const after = cursor === undefined ? null : readCursor(cursorKey, tenantId, filter, cursor);
      const key = await tenantKeys.forTenant(tenantId);
      const { rows, total } = await database.inTenant(tenantId, async (sql) => ({
        rows: await listTraces(sql, tenantId, filter, { after, limit: limit + 1, offset: offset ?? 0 }),
        total: after === null ? await countListed(sql, tenantId, filter, MAX_COUNTED) : undefined,
      }));
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      const hasMore = rows.length > limit && last !== undefined;
      const position = hasMore ? { startNs: BigInt(last.startNs), traceId: last.traceId } : undefined;
      return {
        data: shown.map((trace) => traceItem(trace, key)),
        pagination: {
          ...(total === undefined ? {} : { total }),
          limit,
          ...(offset === undefined ? {} : { offset }),
          nextCursor: position === undefined ? null : writeCursor(cursorKey, tenantId, filter, position),
          hasMore,
        },
      };
    },

    async trace(tenantId, traceId) {
      const key = await tenantKeys.forTenant(tenantId);
      const read = await database.inTenant(tenantId, async (sql) => {
        const trace = await findTrace(sql, tenantId, traceId);
        if (trace === undefined) return undefined;
        const rows = await spansOfTrace(sql, tenantId, traceId, trace.days, MAX_SPANS_SHOWN + 1);
        const days = new Set(rows.map(({ blockDay }) => blockDay));
        const blockIds = new Set(rows.map(({ blockId }) => blockId));
        return { trace, rows, blocks: await readBlocks(sql, tenantId, [...days], [...blockIds]) };
      });
      if (read === undefined) throw new ExploreRefusal('NOT_FOUND', 'There is no trace with this id.');
      const rows = read.rows.slice(0, MAX_SPANS_SHOWN);
      return {
        ...traceItem(read.trace, key),
        spans: await spanItems(rows, await openBlocks(read.blocks, key)),
        spans_truncated: read.rows.length > rows.length,
      };
    },

    async cost(tenantId, range, group) {
      const { total, rows } = await database.inTenant(tenantId, async (sql) => ({
        total: await totalCost(sql, tenantId, range),
        rows: await costByGroup(sql, tenantId, range, group),
      }));
      const totalPico = BigInt(total.costPico);
      return {
        totalCost: usdOf(totalPico),
        avgCost: total.traceCount === 0 ? '0' : usdOf(divideHalfEven(totalPico, BigInt(total.traceCount))),
        traceCount: total.traceCount,
        unpricedCount: total.unpricedCount,
        unpricedTraces: total.unpricedTraces,
        breakdown: rows.map(({ costPico, ...row }) => ({ ...row, totalCost: usdOf(BigInt(costPico)) })),
      };
    },

    async latency(tenantId, range, group) {
      const { all, rows } = await database.inTenant(tenantId, async (sql) => ({
        all: await latencyOfAll(sql, tenantId, range),
        rows: await latencyByGroup(sql, tenantId, range, group),
      }));
      const breakdown = rows.map((row) => ({ groupKey: row.groupKey, traceCount: row.count, ...figuresOf(row) }));
      return { ...figuresOf(all), breakdown };
    },

    async series(tenantId, { range, metric, group, intervalMs }) {
      const steps = stepsOf(range, intervalMs);
      const points = await database.inTenant(tenantId, async (sql) => {
        if (metric === 'latency') return latencyPoints(await sketchSeries(sql, tenantId, steps, group));
        const rows =
          metric === 'traces'
            ? await traceSeries(sql, tenantId, steps, group)
            : await rollupSeries(sql, tenantId, steps, metric, group);
        return valuePoints(rows, steps, metric);
      });
      const series = [...points].sort(([, a], [, b]) => b.weight - a.weight);
      return {
        intervalMs: steps.stepMinutes * MINUTE_MS,
        startDate: isoOf(range.fromNs),
        endDate: isoOf(range.untilNs),
        omittedSeries: Math.max(0, series.length - MAX_SERIES),
        series: series.slice(0, MAX_SERIES).map(([groupKey, { points: own }]) => ({
          groupKey: group === 'status' && groupKey !== null ? statusName(Number(groupKey)) : groupKey,
          points: own,
        })),
      };
    },

    async facets(tenantId, range) {
      const rows = await database.inTenant(tenantId, (sql) => listFacets(sql, tenantId, range, MAX_FACET_VALUES));
      const of = (facet: FacetRow['facet']) =>
        rows.filter((row) => row.facet === facet).map(({ value, count }) => ({ value, count }));
      return {
        services: of('service'),
        models: of('model'),
        environments: of('environment'),
        tags: of('tag'),
        users: of('user'),
        statuses: of('status').map(({ value, count }) => ({ value: statusName(Number(value)), count })),
      };
    },

    hasSpans: (tenantId) => database.inTenant(tenantId, (sql) => hasTraces(sql, tenantId)),
  };
}

/** Pauses between blocks: a trace of ten thousand spans must not hold up everybody else. */
async function openBlocks(
  sealed: ReadonlyArray<{ blockId: string; sealed: Buffer }>,
  key: TenantKey,
): Promise<Map<string, ContentBlock>> {
  const blocks = new Map<string, ContentBlock>();
  for (const [i, block] of sealed.entries()) {
    if (i % BLOCKS_PER_BREATH === BLOCKS_PER_BREATH - 1) await breathe();
    blocks.set(block.blockId, decodeBlock(key.open('content', blockAad(block.blockId), block.sealed)));
  }
  return blocks;
}

async function spanItems(rows: readonly SpanRow[], blocks: ReadonlyMap<string, ContentBlock>): Promise<SpanItem[]> {
  const items: SpanItem[] = [];
  for (const row of rows) {
    if (items.length % SPANS_PER_BREATH === SPANS_PER_BREATH - 1) await breathe();
    const block = blocks.get(row.blockId);
    items.push(spanItem(row, block === undefined ? undefined : spanFrom(row, block)));
  }
  return items;
}

function figuresOf({ avgMs, p50Ms, p95Ms, p99Ms, count }: LatencyRow): LatencyFigures {
  return { avgLatency: avgMs, p50Latency: p50Ms, p95Latency: p95Ms, p99Latency: p99Ms, count };
}

/** Whole minutes that cover the range; a step is asked for or chosen so that some hundred points come out. */
function stepsOf({ fromNs, untilNs }: Range, intervalMs: number | 'auto'): Steps {
  const from = Number(fromNs / MINUTE_NS);
  const until = Number((untilNs + MINUTE_NS - 1n) / MINUTE_NS);
  const minutes = Math.max(1, until - from);
  const longest = STEP_MINUTES.at(-1) as number;
  const stepMinutes =
    intervalMs === 'auto'
      ? (STEP_MINUTES.find((step) => minutes / step <= AUTO_POINTS) ?? longest)
      : Math.max(1, Math.round(intervalMs / MINUTE_MS));
  if (minutes / stepMinutes > MAX_POINTS) {
    throw new ExploreRefusal(
      'VALIDATION_FAILED',
      `Expected at most ${MAX_POINTS} steps: a longer interval or a shorter range.`,
    );
  }
  return { from, until, stepMinutes };
}

/** Points of each group and what they add up to, for choosing the largest. */
type Points = Map<string | null, { points: SeriesPoint[]; weight: number }>;

function valuePoints(rows: readonly SeriesRow[], { from, until, stepMinutes }: Steps, metric: Metric): Points {
  const groups = Map.groupBy(rows, ({ groupKey }) => groupKey);
  const points: Points = new Map();
  for (const [groupKey, own] of groups) {
    const values = new Map(own.map(({ minute, value }) => [minute, value]));
    const series: SeriesPoint[] = [];
    // every step of the range, zero where nothing happened
    for (let minute = from - (from % stepMinutes); minute < until; minute += stepMinutes) {
      const value = values.get(minute) ?? '0';
      series.push({ t: isoOfMinute(minute), value: metric === 'cost' ? usdOf(BigInt(value)) : Number(value) });
    }
    points.set(groupKey, { points: series, weight: own.reduce((sum, { value }) => sum + Number(value), 0) });
  }
  return points;
}

function latencyPoints(rows: Awaited<ReturnType<typeof sketchSeries>>): Points {
  const points: Points = new Map();
  for (const { groupKey, minute, zeros, buckets, counts } of rows) {
    const sketch = Sketch.from({ zeros: Math.max(0, zeros), indices: buckets, counts });
    const series = points.get(groupKey) ?? { points: [], weight: 0 };
    series.points.push({
      t: isoOfMinute(minute),
      p50: sketch.quantile(0.5) ?? 0,
      p95: sketch.quantile(0.95) ?? 0,
      p99: sketch.quantile(0.99) ?? 0,
      count: sketch.count,
    });
    series.weight += sketch.count;
    points.set(groupKey, series);
  }
  return points;
}

function isoOfMinute(minute: number): string {
  return new Date(minute * MINUTE_MS).toISOString();
}

function isoOf(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString();
}
