// The time range of a page, as it stands in the address: relative (`range=24h`) or exact (`from` and `to`).

export const SPANS = {
  '1h': ['Last hour', 3_600_000],
  '6h': ['Last 6 hours', 21_600_000],
  '24h': ['Last 24 hours', 86_400_000],
  '7d': ['Last 7 days', 604_800_000],
  '30d': ['Last 30 days', 2_592_000_000],
} as const satisfies Record<string, readonly [string, number]>;
export type RangeSpan = keyof typeof SPANS;
export const DEFAULT_SPAN: RangeSpan = '7d';

/** Part of every data page's search parameters. `from` and `to` (ISO 8601) win over `range`. */
export interface RangeSearch {
  range?: RangeSpan | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

/** Start inclusive, end exclusive, in ms; `toMs` undefined = until now. */
export interface Interval {
  fromMs: number;
  toMs: number | undefined;
}

/** Reads the search parameters of an address; what makes no sense is left out. */
export function rangeFromSearch(search: Record<string, unknown>): RangeSearch {
  const from = moment(search['from']);
  const to = moment(search['to']);
  if (from !== undefined && (to === undefined || from < to)) return { from, ...(to === undefined ? {} : { to }) };
  const range = search['range'];
  return typeof range === 'string' && Object.hasOwn(SPANS, range) ? { range: range as RangeSpan } : {};
}

function moment(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

/** The interval a range means at `nowMs`. Relative starts are floored to the minute, so that the query repeats. */
export function intervalOf(search: RangeSearch, nowMs: number): Interval {
  if (search.from !== undefined) {
    return { fromMs: Date.parse(search.from), toMs: search.to === undefined ? undefined : Date.parse(search.to) };
  }
  const [, lengthMs] = SPANS[search.range ?? DEFAULT_SPAN];
  return { fromMs: Math.floor((nowMs - lengthMs) / 60_000) * 60_000, toMs: undefined };
}

/** startDate and endDate of the API. */
export function datesOf(interval: Interval): { startDate: string; endDate?: string } {
  const startDate = new Date(interval.fromMs).toISOString();
  return interval.toMs === undefined ? { startDate } : { startDate, endDate: new Date(interval.toMs).toISOString() };
}

/** The interval of the same length just before. */
export function intervalBefore(interval: Interval, nowMs: number): { fromMs: number; toMs: number } {
  const lengthMs = (interval.toMs ?? nowMs) - interval.fromMs;
  return { fromMs: interval.fromMs - lengthMs, toMs: interval.fromMs };
}
