// From the API's series to what a chart draws: one time axis, aligned columns, the largest first, small ones collected.
import type { SeriesAnswer, SeriesPoint } from '../api/telemetry.ts';
import { addDecimals } from '../format/decimal.ts';
import { REST, SLOTS } from './palette.ts';

/** One line or layer. `values` are for drawing (null = gap); `exact` are the server's own figures, for the tooltip. */
export interface Column {
  name: string;
  /** Group key in the API; null = the group without a value; undefined = not one group. */
  groupKey: string | null | undefined;
  values: (number | null)[];
  exact: (string | null)[];
}

export interface Frame {
  /** Start of each bucket, ms. */
  timesMs: number[];
  intervalMs: number;
  columns: Column[];
}

const MAX_BUCKETS = 5_000;
export const UNNAMED = 'not given';

/** Starts of all buckets from the first to the last, also of those that hold nothing. */
export function bucketTimes(answer: SeriesAnswer): number[] {
  const { intervalMs } = answer;
  const endMs = Date.parse(answer.endDate);
  const stamps = answer.series.flatMap(({ points }) => points.map(({ t }) => Date.parse(t)));
  const firstMs = Math.min(alignTo(Date.parse(answer.startDate), stamps[0] ?? 0, intervalMs), ...stamps);
  const count = Math.min(MAX_BUCKETS, Math.max(1, Math.ceil((endMs - firstMs) / intervalMs)));
  return Array.from({ length: count }, (_, index) => firstMs + index * intervalMs);
}

// the start of the bucket that holds `ms`, on the grid that `stamp` lies on
function alignTo(ms: number, stamp: number, intervalMs: number): number {
  const offset = (((stamp - ms) % intervalMs) + intervalMs) % intervalMs;
  return offset === 0 ? ms : ms + offset - intervalMs;
}

/** Sums per bucket: a bucket without a point is 0. The largest `SLOTS − 1` groups, the others as one. */
export function amountFrame(answer: SeriesAnswer): Frame {
  const timesMs = bucketTimes(answer);
  const columns = answer.series.map(({ groupKey, points }) =>
    amountColumn(groupKey, points, timesMs, answer.intervalMs),
  );
  return { timesMs, intervalMs: answer.intervalMs, columns: collectSmall(columns) };
}

const isSomething = ({ value }: SeriesPoint): boolean => Number(value ?? 0) !== 0;

/** Without groups that are 0 throughout: spans without a model, or without a price, would only stand in the legend. */
export function withoutNothing(answer: SeriesAnswer): SeriesAnswer {
  return { ...answer, series: answer.series.filter(({ points }) => points.some(isSomething)) };
}

function amountColumn(groupKey: string | null, points: SeriesPoint[], timesMs: number[], intervalMs: number): Column {
  const exact = Array.from({ length: timesMs.length }, () => '0');
  for (const point of points) {
    const at = Math.floor((Date.parse(point.t) - (timesMs[0] ?? 0)) / intervalMs);
    const value = point.value ?? point.count ?? 0;
    const before = exact[at];
    if (before !== undefined) exact[at] = addDecimals([before, String(value)]);
  }
  return { name: nameOf(groupKey), groupKey, values: exact.map(Number), exact };
}

function collectSmall(columns: Column[]): Column[] {
  const bySize = columns.toSorted((one, other) => totalOf(other) - totalOf(one));
  if (bySize.length <= SLOTS) return bySize;
  const rest = bySize.slice(SLOTS - 1);
  const exact = (rest[0]?.exact ?? []).map((_, at) => addDecimals(rest.map((column) => column.exact[at] ?? '0')));
  return [...bySize.slice(0, SLOTS - 1), { name: REST, groupKey: undefined, values: exact.map(Number), exact }];
}

function totalOf({ values }: Column): number {
  return values.reduce<number>((sum, value) => sum + (value ?? 0), 0);
}

const nameOf = (groupKey: string | null): string => (groupKey === null || groupKey === '' ? UNNAMED : groupKey);

export const PERCENTILES = ['p50', 'p95', 'p99'] as const;
export type Percentile = (typeof PERCENTILES)[number];

/** Percentiles of one group (or of all), one column each; a bucket without spans is a gap, not 0. */
export function percentileFrame(answer: SeriesAnswer, percentiles: readonly Percentile[] = PERCENTILES): Frame {
  const timesMs = bucketTimes(answer);
  const points = answer.series[0]?.points ?? [];
  const columns = percentiles.map((name) =>
    percentileColumn(name, undefined, points, name, timesMs, answer.intervalMs),
  );
  return { timesMs, intervalMs: answer.intervalMs, columns };
}

/** One percentile of the busiest groups, one column each. */
export function groupedPercentileFrame(answer: SeriesAnswer, percentile: Percentile): Frame {
  const timesMs = bucketTimes(answer);
  const busiest = answer.series.toSorted((one, other) => countOf(other.points) - countOf(one.points)).slice(0, SLOTS);
  const columns = busiest.map(({ groupKey, points }) =>
    percentileColumn(nameOf(groupKey), groupKey, points, percentile, timesMs, answer.intervalMs),
  );
  return { timesMs, intervalMs: answer.intervalMs, columns };
}

function percentileColumn(
  name: string,
  groupKey: string | null | undefined,
  points: SeriesPoint[],
  percentile: Percentile,
  timesMs: number[],
  intervalMs: number,
): Column {
  const values = Array.from({ length: timesMs.length }, (): number | null => null);
  for (const point of points) {
    const at = Math.floor((Date.parse(point.t) - (timesMs[0] ?? 0)) / intervalMs);
    const value = point[percentile];
    if (at in values && value !== undefined && (point.count ?? 1) > 0) values[at] = value;
  }
  return { name, groupKey, values, exact: values.map((value) => (value === null ? null : String(value))) };
}

function countOf(points: SeriesPoint[]): number {
  return points.reduce((sum, { count }) => sum + (count ?? 0), 0);
}

/** Running sums over the columns, so that each layer is drawn on top of those before it. */
export function stacked(columns: readonly Column[]): number[][] {
  const length = columns[0]?.values.length ?? 0;
  const running = Array.from({ length }, () => 0);
  return columns.map(({ values }) => {
    for (let at = 0; at < length; at++) running[at] = (running[at] ?? 0) + (values[at] ?? 0);
    return [...running];
  });
}
