// Today against what is usual: plain arithmetic, apart from the page that shows it.
import type { SeriesAnswer } from '../api/telemetry.ts';

const DAY_MS = 86_400_000;
const DAYS = 7;

export interface ClosedInterval {
  fromMs: number;
  toMs: number;
}

/** From local midnight to now (floored to the minute, so that the question repeats). */
export function dayOf(nowMs: number): ClosedInterval {
  const midnight = new Date(nowMs);
  midnight.setHours(0, 0, 0, 0);
  return {
    fromMs: midnight.getTime(),
    toMs: Math.max(midnight.getTime() + 60_000, Math.floor(nowMs / 60_000) * 60_000),
  };
}

/** The seven days that end where today begins. */
export function dayBefore(today: ClosedInterval): ClosedInterval {
  return { fromMs: today.fromMs - DAYS * DAY_MS, toMs: today.fromMs };
}

export interface Change {
  usual: number;
  /** Whole per cent above (below: negative) the usual; undefined when the usual is 0. */
  percent: number | undefined;
}

/**
 * Today's figure against `scale` × the figure of the days before (a sum over days is scaled to the part of one day
 * that has gone by, a percentile is not scaled). Undefined while either is unknown, or when there was nothing before.
 */
export function changeOf(
  today: string | number | undefined,
  before: string | number | undefined,
  scale: number,
): Change | undefined {
  if (today === undefined || before === undefined || Number(before) === 0) return undefined;
  const usual = Number(before) * scale;
  const percent = usual === 0 ? undefined : Math.round((Number(today) / usual - 1) * 100);
  return { usual, percent };
}

export function totalOf(answer: SeriesAnswer): number {
  const points = answer.series.flatMap((series) => series.points);
  return points.reduce((sum, { value, count }) => sum + Number(value ?? count ?? 0), 0);
}
