// The way out: lists, one trace, costs, latencies, series and facets, each from the smallest table that can answer it.
import { setImmediate as breathe } from 'node:timers/promises';
import { Sketch, usdOf } from '@lumatrace/telemetry';
import { divideHalfEven } from '@lumatrace/telemetry/decimal.ts';
import type { TenantKey, TenantKeys } from '../keys/tenant-key.ts';
import type { SecretReader } from '../keys/installation-keys.ts';
import {
  decodeBlockWithin,
  spanFrom,
  spanIdNumber,
  spanIdText,
  statusName,
  type ContentBlock,
} from '../storage/content-block.ts';
import type { Database, Sql } from '../storage/database.ts';
import {
  chartCells,
  exactLatencies,
  type ChartCell,
  type ExactLatency,
  type LatencyGroup,
  type Range,
  type Sum,
} from '../storage/postgres/charts.ts';
import type { Dimension } from '../storage/postgres/rollups.ts';
import { readBlocks } from '../storage/postgres/content.ts';
import { costOfMatching, findSpan, outlineOfTrace, spansOfTrace, type SpanRow } from '../storage/postgres/spans.ts';
import { countListed, findTrace, hasTraces, listTraces, type TraceFilter } from '../storage/postgres/trace-list.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { outlineSpan, spanItem, traceItem, type OutlineSpan, type SpanItem, type TraceItem } from './item.ts';
import { ExploreRefusal } from './refusal.ts';
import {
  joinPreviews,
  joinSignals,
  openSignals,
  readScores,
  readSignals,
  scoreItem,
  type ScoreItem,
  type TraceSignals,
} from './signals.ts';

export { LATENCY_GROUPS } from '../storage/postgres/charts.ts';
import type { ListedTrace } from '../storage/postgres/trace-list.ts';
import { blockAad } from '../storage/sealed.ts';
export type { TraceFilter } from '../storage/postgres/trace-list.ts';

export interface ExploreOptions {
  database: Database;
  tenantKeys: TenantKeys;
  /** 32 bytes, for this use alone. */
  secrets: SecretReader;
}

export interface TracePage {
  data: TraceItem[];
  pagination: { total?: number; limit: number; offset?: number; nextCursor: string | null; hasMore: boolean };
}

export interface TraceAnswer extends TraceItem {
  spans: SignalledSpan[];
  /** Of the trace and of its spans, the earliest first. */
  scores: ScoreItem[];
  /** True when the trace has more spans than one answer holds; the earliest are here. */
  spans_truncated: boolean;
  /** True when its spans say more than one answer holds: some are here without what they said, which `span` tells. */
  content_truncated: boolean;
}

/** A span with what came beside it. */
export type SignalledSpan = SpanItem & { scores: ScoreItem[] };

export interface TraceOutline extends TraceItem {
  spans: OutlineSpan[];
  scores: ScoreItem[];
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

/** Groups of cost and what the cells of each are about. */
const COST_DIMENSIONS = {
  model: 'model',
  service: 'service',
  environment: 'environment',
  user: 'user',
  endpoint: 'endpoint',
  date: 'traces',
  tenant: 'traces',
} as const satisfies Record<string, Dimension>;
export type CostGroup = keyof typeof COST_DIMENSIONS;
export const COST_GROUPS = Object.keys(COST_DIMENSIONS) as CostGroup[];

const LATENCY_DIMENSIONS = { service: 'rootService', endpoint: 'endpoint', model: 'model' } as const satisfies Record<
  LatencyGroup,
  Dimension
>;

export type SeriesGroup = 'none' | 'service' | 'model' | 'status';
export type Metric = 'cost' | 'tokens' | 'spans' | 'errors' | 'traces' | 'latency';

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
  /** The trace and the shape of its spans, without what they said. Throws as `trace` does. */
  outline(tenantId: string, traceId: string): Promise<TraceOutline>;
  /** One span with what it said. Throws as `trace` does. `spanId` is 16 hexadecimal digits. */
  span(tenantId: string, traceId: string, spanId: string): Promise<SignalledSpan>;
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
/** Inflated content of one answer. An answer says most of it twice, in attributes and in messages. */
const MAX_TRACE_CONTENT_BYTES = 128 * 1024 * 1024;
const BLOCKS_PER_BREATH = 8;
const SPANS_PER_BREATH = 500;
const MAX_FACET_VALUES = 100;
const MAX_SERIES = 50;
const MINUTE_NS = 60_000_000_000n;
const MINUTE_MS = 60_000;
const MINUTES_PER_DAY = 1_440;
const DAY_NS = 86_400_000_000_000n;
/** Filters by user offer those of the last week. */
const USER_FACET_NS = 7n * DAY_NS;
/** Up to so many spans percentiles are those of the rows; beyond it they come from sketches, at most 1 % off. */
const MAX_EXACT = 5_000;
const COST_SUMS: readonly Sum[] = ['traces', 'unpriced_traces', 'billable', 'unpriced', 'cost_pico', 'spans'];
/** Groups that each call of a trace may differ in. */
const GROUPS_OF_CALLS: ReadonlySet<CostGroup> = new Set(['model', 'service']);
const AUTO_POINTS = 120;
const MAX_POINTS = 2_000;
/** A list is not paged for longer; a cursor of a key that was in use before that is refused. */
const CURSOR_LIFE_MS = 24 * 3_600_000;
/** Minutes of a step that a person reads easily. */
const STEP_MINUTES = [1, 5, 15, 30, 60, 180, 360, 720, 1_440, 10_080];

export function createExplore(options: ExploreOptions): Explore {
  const { database, tenantKeys, secrets } = options;
  return {
    async list(tenantId, filter, { cursor, limit, offset }) {
      const cursorKeys = await secrets.candidates('cursor', CURSOR_LIFE_MS);
      const after = cursor === undefined ? null : readCursor(cursorKeys, tenantId, filter, cursor);
      const key = await tenantKeys.forTenant(tenantId);
      const { listed, items, total } = await database.inTenant(tenantId, async (sql) => {
        const listed = await listTraces(sql, tenantId, filter, { after, limit: limit + 1, offset: offset ?? 0 });
        const isAll = listed.rows.length <= limit && (offset ?? 0) === 0 && listed.scannedTo === undefined;
        const count = () => (isAll ? listed.rows.length : countListed(sql, tenantId, filter, MAX_COUNTED));
        return {
          listed,
          items: await withMatchingCost(sql, tenantId, listed.rows.slice(0, limit), filter, (rows) =>
            itemsOf(sql, tenantId, rows, key),
          ),
          total: after === null ? await count() : undefined,
        };
      });
      const last = listed.rows.slice(0, limit).at(-1);
      const position =
        listed.rows.length > limit && last !== undefined
          ? { startNs: BigInt(last.startNs), traceId: last.traceId }
          : listed.scannedTo;
      const hasMore = position !== undefined;
      return {
        data: items,
        pagination: {
          ...(total === undefined ? {} : { total }),
          limit,
          ...(offset === undefined ? {} : { offset }),
          nextCursor: position === undefined ? null : writeCursor(cursorKeys, tenantId, filter, position),
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
        return {
          items: await itemsOf(sql, tenantId, [trace], key),
          rows,
          blocks: await readBlocks(sql, tenantId, [...days], [...blockIds]),
          signals: await readSignals(sql, tenantId, trace),
        };
      });
      const item = read?.items[0];
      if (read === undefined || item === undefined) throw noTrace();
      const rows = read.rows.slice(0, MAX_SPANS_SHOWN);
      const signals = openSignals(read.signals, key);
      const blocks = await openBlocks(read.blocks, key, MAX_TRACE_CONTENT_BYTES);
      return {
        ...item,
        spans: await spanItems(rows, blocks, { signals, leadId: item.span_id }),
        scores: signals.scores,
        spans_truncated: read.rows.length > rows.length,
        content_truncated: blocks.size < read.blocks.length,
      };
    },

    async outline(tenantId, traceId) {
      const key = await tenantKeys.forTenant(tenantId);
      const read = await database.inTenant(tenantId, async (sql) => {
        const trace = await findTrace(sql, tenantId, traceId);
        if (trace === undefined) return undefined;
        return {
          items: await itemsOf(sql, tenantId, [trace], key),
          rows: await outlineOfTrace(sql, tenantId, traceId, trace.days, MAX_SPANS_SHOWN + 1),
          scores: await readScores(sql, tenantId, traceId),
        };
      });
      const item = read?.items[0];
      if (read === undefined || item === undefined) throw noTrace();
      return {
        ...item,
        spans: read.rows.slice(0, MAX_SPANS_SHOWN).map(outlineSpan),
        scores: read.scores.map((score) => scoreItem(score, key)),
        spans_truncated: read.rows.length > MAX_SPANS_SHOWN,
      };
    },

    async span(tenantId, traceId, spanId) {
      const key = await tenantKeys.forTenant(tenantId);
      const read = await database.inTenant(tenantId, async (sql) => {
        const trace = await findTrace(sql, tenantId, traceId);
        if (trace === undefined) return undefined;
        const row = await findSpan(sql, tenantId, { traceId, spanId: spanIdNumber(spanId) }, trace.days);
        if (row === undefined) return undefined;
        return {
          row,
          leadId: spanIdText(BigInt(trace.spanId)),
          blocks: await readBlocks(sql, tenantId, [row.blockDay], [row.blockId]),
          signals: await readSignals(sql, tenantId, trace),
        };
      });
      if (read === undefined) throw new ExploreRefusal('NOT_FOUND', 'There is no span with these ids.');
      const { row, leadId } = read;
      const beside = { signals: openSignals(read.signals, key), leadId };
      const [item] = await spanItems([row], await openBlocks(read.blocks, key), beside);
      return item as SignalledSpan;
    },

    async cost(tenantId, range, group) {
      const { total, cells } = await database.inTenant(tenantId, async (sql) => ({
        total: await totalOf(sql, tenantId, range),
        cells: await chartCells(sql, tenantId, range, {
          dimension: COST_DIMENSIONS[group],
          needs: COST_SUMS,
          ...(group === 'date' ? { stepMinutes: MINUTES_PER_DAY } : {}),
        }),
      }));
      const keyOf: Partial<Record<CostGroup, (cell: ChartCell) => string>> = {
        date: ({ minute }) => isoOfMinute(minute).slice(0, 10),
        tenant: () => tenantId,
      };
      const isCounted = GROUPS_OF_CALLS.has(group) ? (cell: ChartCell) => cell.billable > 0 : isSomeTrace;
      const shown = cells.filter(isCounted);
      if (group !== 'date') shown.sort(dearestFirst);
      return {
        ...costFigures(total),
        avgCost: total.traces === 0 ? '0' : usdOf(divideHalfEven(total.costPico, BigInt(total.traces))),
        breakdown: shown.map((cell) => ({
          groupKey: (keyOf[group]?.(cell) ?? cell.key) || null,
          ...costFigures(cell),
        })),
      };
    },

    async latency(tenantId, range, group) {
      return database.inTenant(tenantId, async (sql) => {
        const [all = NOTHING] = await chartCells(sql, tenantId, range, { dimension: 'traces', latency: true });
        const cells = await chartCells(sql, tenantId, range, { dimension: LATENCY_DIMENSIONS[group], latency: true });
        const shown = cells.filter(({ latency }) => latency.count > 0);
        const isSmall = Math.max(all.traces, all.spans) <= MAX_EXACT;
        const exact = isSmall ? await exactLatencies(sql, tenantId, range, group) : [];
        const exactAll = isSmall ? await exactLatencies(sql, tenantId, range, 'all') : [];
        const exactOf = new Map(exact.map((row) => [row.key, row]));
        shown.sort((a, b) => b.latency.count - a.latency.count || (a.key < b.key ? -1 : 1));
        return {
          ...figuresOf(all, exactAll[0]),
          breakdown: shown.map((cell) => ({
            groupKey: cell.key || null,
            traceCount: cell.latency.count,
            ...figuresOf(cell, exactOf.get(cell.key)),
          })),
        };
      });
    },

    async series(tenantId, { range, metric, group, intervalMs }) {
      const steps = stepsOf(range, intervalMs);
      const question = { dimension: seriesDimension(metric, group), stepMinutes: steps.stepMinutes };
      const cells = await database.inTenant(tenantId, (sql) =>
        chartCells(sql, tenantId, range, { ...question, latency: metric === 'latency' }),
      );
      const asked = group === 'model' ? cells.filter(({ key }) => key !== '') : cells;
      const points = metric === 'latency' ? latencyPoints(asked) : valuePoints(asked, steps, metric);
      const series = [...points].sort(([, a], [, b]) => b.weight - a.weight);
      return {
        intervalMs: steps.stepMinutes * MINUTE_MS,
        startDate: isoOf(range.fromNs),
        endDate: isoOf(range.untilNs),
        omittedSeries: Math.max(0, series.length - MAX_SERIES),
        series: series.slice(0, MAX_SERIES).map(([key, { points: own }]) => ({
          groupKey: group === 'status' ? statusName(Number(key)) : key || null,
          points: own,
        })),
      };
    },

    async facets(tenantId, range) {
      const days = wholeDays(range);
      const recentDays = { ...days, fromNs: largerOf(days.fromNs, days.untilNs - USER_FACET_NS) };
      return database.inTenant(tenantId, async (sql) => {
        const of = async (dimension: Dimension, during: Range): Promise<FacetsAnswer['tags']> => {
          const cells = await chartCells(sql, tenantId, during, { dimension, needs: ['traces'] });
          const values = cells.filter(({ key, traces }) => key !== '' && traces > 0);
          values.sort((a, b) => b.traces - a.traces || (a.key < b.key ? -1 : 1));
          return values.slice(0, MAX_FACET_VALUES).map(({ key, traces }) => ({ value: key, count: traces }));
        };
        const statuses = await of('traceStatus', range);
        return {
          services: await of('service', range),
          models: await of('model', range),
          environments: await of('environment', range),
          tags: await of('tag', days),
          users: await of('user', recentDays),
          statuses: statuses.map(({ value, count }) => ({ value: statusName(Number(value)), count })),
        };
      });
    },

    hasSpans: (tenantId) => database.inTenant(tenantId, (sql) => hasTraces(sql, tenantId)),
  };
}

/**
 * Pauses between blocks: a trace of ten thousand spans must not hold up everybody else. What would inflate beyond `maxBytes`
 * stays closed, the first block excepted.
 */
async function openBlocks(
  sealed: ReadonlyArray<{ blockId: string; sealed: Buffer }>,
  key: TenantKey,
  maxBytes = Infinity,
): Promise<Map<string, ContentBlock>> {
  const blocks = new Map<string, ContentBlock>();
  let leftBytes = maxBytes;
  for (const [i, block] of sealed.entries()) {
    if (i % BLOCKS_PER_BREATH === BLOCKS_PER_BREATH - 1) await breathe();
    const bytes = key.open('content', blockAad(block.blockId), block.sealed);
    const opened = decodeBlockWithin(bytes, i === 0 ? Infinity : leftBytes);
    if (opened === undefined) continue;
    leftBytes = Math.max(1, leftBytes - opened.inflatedBytes);
    blocks.set(block.blockId, opened.block);
  }
  return blocks;
}

async function spanItems(
  rows: readonly SpanRow[],
  blocks: ReadonlyMap<string, ContentBlock>,
  { signals, leadId }: { signals: TraceSignals; leadId: string },
): Promise<SignalledSpan[]> {
  const items: SignalledSpan[] = [];
  for (const row of rows) {
    if (items.length % SPANS_PER_BREATH === SPANS_PER_BREATH - 1) await breathe();
    const block = blocks.get(row.blockId);
    const content = block === undefined ? undefined : spanFrom(row, block);
    const item = spanItem(row, content);
    items.push(joinSignals(item, content?.span.messages, signals, item.span_id === leadId));
  }
  return items;
}

/** In a list of one model or service, each item says what of its cost is theirs. */
async function withMatchingCost(
  sql: Sql,
  tenantId: string,
  traces: readonly ListedTrace[],
  { model, service }: TraceFilter,
  itemsFor: (traces: readonly ListedTrace[]) => Promise<TraceItem[]>,
): Promise<TraceItem[]> {
  const items = await itemsFor(traces);
  if (model === null && service === null) return items;
  const costs = await costOfMatching(sql, tenantId, traces, { model, service });
  const costOf = new Map(costs.map((cost) => [cost.traceId, cost]));
  return items.map((item) => {
    const { costPico, unpriced } = costOf.get(item.trace_id) ?? { costPico: '0', unpriced: 0 };
    const priced = usdOf(BigInt(costPico));
    return { ...item, matching_cost_usd: unpriced > 0 ? null : priced, matching_cost_priced_usd: priced };
  });
}

/** The items of listed traces, with previews from log records where their spans have none. */
async function itemsOf(
  sql: Sql,
  tenantId: string,
  traces: readonly ListedTrace[],
  key: TenantKey,
): Promise<TraceItem[]> {
  const items = traces.map((trace) => traceItem(trace, key));
  await joinPreviews(sql, tenantId, key, items, [...new Set(traces.flatMap(({ days }) => days))]);
  return items;
}

function noTrace(): ExploreRefusal {
  return new ExploreRefusal('NOT_FOUND', 'There is no trace with this id.');
}

const NOTHING: ChartCell = {
  key: '',
  minute: 0,
  traces: 0,
  unpricedTraces: 0,
  spans: 0,
  errors: 0,
  billable: 0,
  unpriced: 0,
  costPico: 0n,
  inputTokens: 0,
  outputTokens: 0,
  latencyNs: 0n,
  latency: new Sketch(),
};

async function totalOf(sql: Sql, tenantId: string, range: Range): Promise<ChartCell> {
  const [total = NOTHING] = await chartCells(sql, tenantId, range, { dimension: 'traces' });
  return total;
}

const isSomeTrace = ({ traces }: ChartCell): boolean => traces > 0;

function dearestFirst(a: ChartCell, b: ChartCell): number {
  if (a.costPico !== b.costPico) return a.costPico > b.costPico ? -1 : 1;
  return a.key < b.key ? -1 : 1;
}

function costFigures({ costPico, traces, unpriced, unpricedTraces }: ChartCell) {
  return { totalCost: usdOf(costPico), traceCount: traces, unpricedCount: unpriced, unpricedTraces };
}

function figuresOf({ latency, latencyNs }: ChartCell, exact: ExactLatency | undefined): LatencyFigures {
  const { count } = latency;
  if (count === 0) return { avgLatency: null, p50Latency: null, p95Latency: null, p99Latency: null, count };
  return {
    avgLatency: Number(latencyNs) / count / 1e6,
    p50Latency: exact?.p50Ms ?? interpolated(latency, 0.5),
    p95Latency: exact?.p95Ms ?? interpolated(latency, 0.95),
    p99Latency: exact?.p99Ms ?? interpolated(latency, 0.99),
    count,
  };
}

/** Between the two neighbours of the rank, each at most 1 % off, as percentile_cont is between exact ones. */
function interpolated(latency: Sketch, q: number): number {
  const rank = q * (latency.count - 1);
  const below = latency.valueAt(Math.floor(rank));
  const above = latency.valueAt(Math.ceil(rank));
  return below + (above - below) * (rank - Math.floor(rank));
}

function seriesDimension(metric: Metric, group: SeriesGroup): Dimension {
  if (metric !== 'traces') return group === 'none' ? 'spans' : group;
  if (group === 'none') return 'traces';
  return group === 'status' ? 'traceStatus' : group;
}

const largerOf = (a: bigint, b: bigint): bigint => (a > b ? a : b);

function wholeDays({ fromNs, untilNs }: Range): Range {
  return { fromNs: (fromNs / DAY_NS) * DAY_NS, untilNs: ((untilNs + DAY_NS - 1n) / DAY_NS) * DAY_NS };
}

/** From two weeks on a step is a day at least: people think in days, and a month is read from thirty cells. */
const leastOf = (minutes: number): number => (minutes >= 14 * MINUTES_PER_DAY ? MINUTES_PER_DAY : 1);

/** Whole minutes that cover the range; a step is asked for or chosen so that some hundred points come out. */
interface Steps {
  from: number;
  until: number;
  stepMinutes: number;
}

function stepsOf({ fromNs, untilNs }: Range, intervalMs: number | 'auto'): Steps {
  const from = Number(fromNs / MINUTE_NS);
  const until = Number((untilNs + MINUTE_NS - 1n) / MINUTE_NS);
  const minutes = Math.max(1, until - from);
  const longest = STEP_MINUTES.at(-1) as number;
  const stepMinutes =
    intervalMs === 'auto'
      ? (STEP_MINUTES.find((step) => minutes / step <= AUTO_POINTS && step >= leastOf(minutes)) ?? longest)
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
type Points = Map<string, { points: SeriesPoint[]; weight: number }>;

const AMOUNTS: Readonly<Record<Exclude<Metric, 'latency'>, (cell: ChartCell) => bigint | number>> = {
  cost: ({ costPico }) => costPico,
  tokens: ({ inputTokens, outputTokens }) => inputTokens + outputTokens,
  spans: ({ spans }) => spans,
  errors: ({ errors }) => errors,
  traces: ({ traces }) => traces,
};

function valuePoints(cells: readonly ChartCell[], steps: Steps, metric: Exclude<Metric, 'latency'>): Points {
  const { from, until, stepMinutes } = steps;
  const amountOf = AMOUNTS[metric];
  const points: Points = new Map();
  for (const [key, own] of Map.groupBy(cells, (cell) => cell.key)) {
    const values = new Map(own.map((cell) => [cell.minute, amountOf(cell)]));
    const series: SeriesPoint[] = [];
    // every step of the range, zero where nothing happened
    for (let minute = from - (from % stepMinutes); minute < until; minute += stepMinutes) {
      const value = values.get(minute) ?? 0;
      series.push({ t: isoOfMinute(minute), value: metric === 'cost' ? usdOf(BigInt(value)) : Number(value) });
    }
    const weight = own.reduce((sum, cell) => sum + Number(amountOf(cell)), 0);
    points.set(key, { points: series, weight });
  }
  return points;
}

function latencyPoints(cells: readonly ChartCell[]): Points {
  const points: Points = new Map();
  for (const { key, minute, latency } of cells) {
    if (latency.count === 0) continue;
    const series = points.get(key) ?? { points: [], weight: 0 };
    series.points.push({
      t: isoOfMinute(minute),
      p50: latency.quantile(0.5) ?? 0,
      p95: latency.quantile(0.95) ?? 0,
      p99: latency.quantile(0.99) ?? 0,
      count: latency.count,
    });
    series.weight += latency.count;
    points.set(key, series);
  }
  return points;
}

function isoOfMinute(minute: number): string {
  return new Date(minute * MINUTE_MS).toISOString();
}

function isoOf(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString();
}
