// Metrics on their way out: the points of every series turned into what happened in each step, then added up by group.
// A cumulative series counts since its start, so that a step is the difference of two points; a start that moved is a reset.
// Source: opentelemetry-specification, metrics/data-model.md ("Temporality", "Resets and Gaps").
import type { ExponentialBuckets, ExplicitBuckets } from '@lumatrace/telemetry/otlp/metrics.ts';
import type { Database } from '../storage/database.ts';
import {
  listMetrics,
  pointsOfSeries,
  seriesOfMetric,
  type ListedMetric,
  type StoredPoint,
  type StoredSeries,
} from '../storage/postgres/metrics.ts';
import { ExploreRefusal } from './refusal.ts';

export interface MetricPoint {
  /** Start of the step. */
  t: string;
  /** Of a sum: what was added. Of a gauge: the mean of what was measured. */
  value?: number;
  /** How many were measured. */
  count: number;
  sum?: number;
  avg?: number;
  min?: number | null;
  max?: number | null;
  p50?: number | null;
  p95?: number | null;
  p99?: number | null;
}

export interface MetricAnswer {
  name: string;
  unit: string;
  description: string;
  kind: string;
  intervalMs: number;
  startDate: string;
  endDate: string;
  groupBy: string | null;
  /** Groups beyond the largest, left out. */
  omittedSeries: number;
  series: Array<{ groupKey: string | null; count: number; sum: number; points: MetricPoint[] }>;
}

export interface MetricReader {
  list(tenantId: string): Promise<ListedMetric[]>;
  /** @throws ExploreRefusal NOT_FOUND for a metric that the tenant does not have; VALIDATION_FAILED for too much at once. */
  read(tenantId: string, name: string, question: MetricQuestion): Promise<MetricAnswer>;
}

export interface MetricQuestion {
  fromNs: bigint;
  untilNs: bigint;
  /** An attribute of the points, `service` or `environment`; without one everything is one group. */
  groupBy: string | undefined;
  intervalMs: number | 'auto';
}

const MAX_METRICS = 1_000;
const MAX_SERIES_READ = 5_000;
const MAX_POINTS_READ = 200_000;
const MAX_GROUPS = 50;
const MAX_STEPS = 2_000;
const AUTO_STEPS = 120;
const MINUTE_MS = 60_000;
const NS_PER_MS = 1_000_000n;
/** How far before the range the point is looked for that the first difference begins at. */
const BASELINE_NS = 24n * 3_600_000_000_000n;
/** Minutes of a step that a person reads easily. */
const STEP_MINUTES = [1, 5, 15, 30, 60, 180, 360, 720, 1_440, 10_080];

export function createMetricReader({ database }: { database: Database }): MetricReader {
  return {
    list: (tenantId) => database.inTenant(tenantId, (sql) => listMetrics(sql, tenantId, MAX_METRICS)),

    async read(tenantId, name, question) {
      const { fromNs, untilNs, groupBy } = question;
      const stepNs = stepOf(question);
      const { series, points } = await database.inTenant(tenantId, async (sql) => {
        const found = await seriesOfMetric(sql, tenantId, name, MAX_SERIES_READ + 1);
        const ids = found.slice(0, MAX_SERIES_READ).map(({ seriesId }) => seriesId);
        const range = { fromNs: fromNs - BASELINE_NS, untilNs };
        return { series: found, points: await pointsOfSeries(sql, tenantId, ids, range, MAX_POINTS_READ + 1) };
      });
      const first = series[0];
      if (first === undefined) throw new ExploreRefusal('NOT_FOUND', 'There is no metric of this name.');
      if (points.length > MAX_POINTS_READ || series.length > MAX_SERIES_READ) {
        throw new ExploreRefusal('VALIDATION_FAILED', `Expected at most ${MAX_POINTS_READ} points: a shorter range.`);
      }
      const groups = groupsOf(series, points, { fromNs, stepNs, groupBy });
      const shown = [...groups].sort(
        ([, a], [, b]) => b.all.count - a.all.count || Math.abs(b.all.sum) - Math.abs(a.all.sum),
      );
      return {
        name,
        unit: first.unit,
        description: first.description,
        kind: first.kind,
        intervalMs: Number(stepNs / NS_PER_MS),
        startDate: isoOf(fromNs),
        endDate: isoOf(untilNs),
        groupBy: groupBy ?? null,
        omittedSeries: Math.max(0, shown.length - MAX_GROUPS),
        series: shown.slice(0, MAX_GROUPS).map(([groupKey, { all, steps }]) => ({
          groupKey,
          count: all.count,
          sum: all.sum,
          points: [...steps].sort(([a], [b]) => (a < b ? -1 : 1)).map(([step, cell]) => pointOf(isoOf(step), cell)),
        })),
      };
    },
  };
}

function stepOf({ fromNs, untilNs, intervalMs }: MetricQuestion): bigint {
  const minutes = Number((untilNs - fromNs) / (NS_PER_MS * BigInt(MINUTE_MS)));
  const longest = STEP_MINUTES.at(-1) as number;
  const stepMinutes =
    intervalMs === 'auto'
      ? (STEP_MINUTES.find((step) => minutes / step <= AUTO_STEPS) ?? longest)
      : Math.max(1, Math.round(intervalMs / MINUTE_MS));
  if (minutes / stepMinutes > MAX_STEPS) {
    throw new ExploreRefusal(
      'VALIDATION_FAILED',
      `Expected at most ${MAX_STEPS} steps: a longer interval or a shorter range.`,
    );
  }
  return BigInt(stepMinutes * MINUTE_MS) * NS_PER_MS;
}

/** What happened between two points, or was measured at one. */
interface Event {
  timeNs: bigint;
  /** Of a gauge: what was measured. */
  level?: number;
  count: number;
  sum: number;
  min: number | null;
  max: number | null;
  intervals: Interval[];
}

/** So many values between two bounds. */
interface Interval {
  low: number;
  high: number;
  count: number;
}

/** A step of a group, added up. */
interface Cell {
  kind: string;
  isLevel: boolean;
  count: number;
  sum: number;
  min: number | null;
  max: number | null;
  intervals: Map<string, Interval>;
}

interface Group {
  all: { count: number; sum: number };
  steps: Map<bigint, Cell>;
}

function groupsOf(
  series: readonly StoredSeries[],
  points: readonly StoredPoint[],
  { fromNs, stepNs, groupBy }: { fromNs: bigint; stepNs: bigint; groupBy: string | undefined },
): Map<string | null, Group> {
  const groups = new Map<string | null, Group>();
  const bySeries = Map.groupBy(points, ({ seriesId }) => seriesId);
  for (const one of series) {
    const own = bySeries.get(one.seriesId);
    if (own === undefined) continue;
    const key = groupKeyOf(one, groupBy);
    for (const event of eventsOf(one, own)) {
      if (event.timeNs < fromNs) continue;
      const group = groups.get(key) ?? { all: { count: 0, sum: 0 }, steps: new Map<bigint, Cell>() };
      groups.set(key, group);
      const step = event.timeNs - (event.timeNs % stepNs);
      const cell = group.steps.get(step) ?? emptyCell(one, event);
      group.steps.set(step, cell);
      addTo(cell, event);
      group.all.count += event.count;
      group.all.sum += event.sum;
    }
  }
  return groups;
}

function groupKeyOf({ service, environment, attributes }: StoredSeries, groupBy: string | undefined): string | null {
  if (groupBy === undefined) return null;
  if (groupBy === 'service') return service;
  if (groupBy === 'environment') return environment;
  const value = Object.hasOwn(attributes, groupBy) ? attributes[groupBy] : undefined;
  return value === undefined || value === null ? null : String(value);
}

function emptyCell({ kind }: StoredSeries, { level }: Event): Cell {
  return { kind, isLevel: level !== undefined, count: 0, sum: 0, min: null, max: null, intervals: new Map() };
}

function addTo(cell: Cell, { count, sum, min, max, intervals }: Event): void {
  cell.count += count;
  cell.sum += sum;
  if (min !== null && (cell.min === null || min < cell.min)) cell.min = min;
  if (max !== null && (cell.max === null || max > cell.max)) cell.max = max;
  for (const { low, high, count: own } of intervals) {
    const id = `${low}|${high}`;
    const known = cell.intervals.get(id);
    if (known === undefined) cell.intervals.set(id, { low, high, count: own });
    else known.count += own;
  }
}

/** The points of one series, by time, as events. */
function eventsOf(series: StoredSeries, points: readonly StoredPoint[]): Event[] {
  const { kind, temporality, monotonic } = series;
  if (kind === 'gauge' || (kind === 'sum' && temporality === 'cumulative' && !monotonic)) return points.map(levelOf);
  const isDifference = temporality === 'cumulative' || kind === 'summary';
  if (!isDifference) return points.map((point) => eventOf(series, point, undefined));
  const events: Event[] = [];
  let before: StoredPoint | undefined;
  for (const point of points) {
    const base = before !== undefined && continues(before, point) ? before : undefined;
    // without a point before it, only a point that tells its start says when its values came
    if (base !== undefined || before !== undefined || isSinceItsStart(point)) events.push(eventOf(series, point, base));
    before = point;
  }
  return events;
}

/** Whether `point` counts on from `before`; else the series began again. */
function continues(before: StoredPoint, point: StoredPoint): boolean {
  return before.startNs === point.startNs && (before.value ?? before.count ?? 0) <= (point.value ?? point.count ?? 0);
}

/** The first point that is known: its values are told apart from older ones by a start that is not long before. */
function isSinceItsStart({ startNs, timeNs }: StoredPoint): boolean {
  return startNs !== '0' && BigInt(timeNs) - BigInt(startNs) <= BASELINE_NS;
}

function levelOf({ timeNs, value }: StoredPoint): Event {
  const level = value ?? 0;
  return { timeNs: BigInt(timeNs), level, count: 1, sum: level, min: level, max: level, intervals: [] };
}

function eventOf({ kind }: StoredSeries, point: StoredPoint, before: StoredPoint | undefined): Event {
  const timeNs = BigInt(point.timeNs);
  if (kind === 'sum') {
    return { timeNs, count: 1, sum: (point.value ?? 0) - (before?.value ?? 0), min: null, max: null, intervals: [] };
  }
  return {
    timeNs,
    count: (point.count ?? 0) - (before?.count ?? 0),
    sum: (point.sum ?? 0) - (before?.sum ?? 0),
    // the least and the most since the start say nothing about a later step
    min: before === undefined ? point.min : null,
    max: before === undefined ? point.max : null,
    intervals: intervalsOf(kind, point, before),
  };
}

function intervalsOf(kind: string, point: StoredPoint, before: StoredPoint | undefined): Interval[] {
  if (kind === 'histogram') return explicitIntervals(point, before);
  return kind === 'exponential_histogram' ? exponentialIntervals(point, before) : [];
}

function explicitIntervals({ shape, min, max }: StoredPoint, before: StoredPoint | undefined): Interval[] {
  const { bounds, counts } = shape as ExplicitBuckets;
  const other = before?.shape as ExplicitBuckets | undefined;
  const isSame = other !== undefined && other.bounds.join() === bounds.join();
  const intervals: Interval[] = [];
  for (let i = 0; i < counts.length; i++) {
    const count = (counts[i] as number) - (isSame ? (other.counts[i] ?? 0) : 0);
    if (count <= 0) continue;
    const low = bounds[i - 1] ?? Math.min(min ?? 0, bounds[0] ?? 0);
    // beyond the last bound nothing is known but the largest value since the start
    const high = bounds[i] ?? Math.max(max ?? low, low);
    intervals.push({ low, high, count });
  }
  return intervals;
}

/** Bucket counts by index, at a scale that both points can be brought to (a smaller scale halves the resolution). */
function exponentialIntervals(point: StoredPoint, before: StoredPoint | undefined): Interval[] {
  const own = point.shape as ExponentialBuckets;
  const other = before?.shape as ExponentialBuckets | undefined;
  const scale = Math.min(own.scale, other?.scale ?? own.scale);
  const intervals: Interval[] = [];
  const zeros = own.zeroCount - (other?.zeroCount ?? 0);
  if (zeros > 0) intervals.push({ low: -own.zeroThreshold, high: own.zeroThreshold, count: zeros });
  for (const side of ['positive', 'negative'] as const) {
    const counts = atScale(own[side], own.scale - scale);
    if (other !== undefined) {
      for (const [i, count] of atScale(other[side], other.scale - scale)) counts.set(i, (counts.get(i) ?? 0) - count);
    }
    for (const [i, count] of counts) {
      if (count <= 0) continue;
      const [low, high] = [edge(i, scale), edge(i + 1, scale)];
      intervals.push(side === 'positive' ? { low, high, count } : { low: -high, high: -low, count });
    }
  }
  return intervals;
}

function atScale({ offset, counts }: { offset: number; counts: number[] }, halvings: number): Map<number, number> {
  const merged = new Map<number, number>();
  for (let i = 0; i < counts.length; i++) {
    const index = Math.floor((offset + i) / 2 ** halvings);
    merged.set(index, (merged.get(index) ?? 0) + (counts[i] as number));
  }
  return merged;
}

/** Lower bound of bucket `index`: base^index, base = 2^(2^-scale). */
function edge(index: number, scale: number): number {
  return 2 ** (index * 2 ** -scale);
}

function pointOf(t: string, cell: Cell): MetricPoint {
  const { kind, isLevel, count, sum, min, max } = cell;
  const avg = count === 0 ? 0 : sum / count;
  if (isLevel) return { t, value: avg, count, min, max };
  if (kind === 'sum') return { t, value: sum, count };
  const point = { t, count, sum, avg, min, max };
  if (cell.intervals.size === 0) return point;
  const intervals = [...cell.intervals.values()].sort((a, b) => a.high - b.high || a.low - b.low);
  return {
    ...point,
    p50: quantileOf(intervals, 0.5),
    p95: quantileOf(intervals, 0.95),
    p99: quantileOf(intervals, 0.99),
  };
}

/** Interpolated inside its bucket, as Prometheus does: as exact as the buckets are. */
function quantileOf(intervals: readonly Interval[], quantile: number): number | null {
  const total = intervals.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return null;
  let rank = quantile * total;
  for (const { low, high, count } of intervals) {
    if (rank <= count) return low + (high - low) * (rank / count);
    rank -= count;
  }
  return intervals.at(-1)?.high ?? null;
}

function isoOf(ns: bigint): string {
  return new Date(Number(ns / NS_PER_MS)).toISOString();
}
