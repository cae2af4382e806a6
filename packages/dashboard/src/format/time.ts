// Times and durations for people. `now` is an argument, so that a sentence about the past can be tested.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A duration in ms: `0.42 ms`, `812 ms`, `1.24 s`, `2 min 5 s`, `3 h 20 min`. */
export function duration(ms: number): string {
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms < 1) return ms === 0 ? '0 ms' : `${Number(ms.toPrecision(2))} ms`;
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_995) return `${(ms / SECOND).toFixed(ms < 9_995 ? 2 : 1)} s`;
  if (ms < HOUR - SECOND / 2) return twoUnits(Math.round(ms / SECOND), 60, 'min', 's');
  return twoUnits(Math.round(ms / MINUTE), 60, 'h', 'min');
}

function twoUnits(total: number, size: number, large: string, small: string): string {
  const rest = total % size;
  return `${Math.floor(total / size)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`;
}

/** How long ago: `now`, `12 s ago`, `3 min ago`, `5 h ago`, then the date: `21 Nov, 14:02`. */
export function ago(iso: string, now: number): string {
  const age = now - Date.parse(iso);
  if (Number.isNaN(age)) return 'unknown';
  if (age < -MINUTE) return shortMoment(iso);
  if (age < 5 * SECOND) return 'now';
  if (age < MINUTE) return `${Math.floor(age / SECOND)} s ago`;
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min ago`;
  if (age < DAY) return `${Math.floor(age / HOUR)} h ago`;
  return shortMoment(iso);
}

const shortFormat = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const exactFormat = new Intl.DateTimeFormat('en-GB', {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
  timeZoneName: 'short',
});

/** `21 Nov, 14:02` in the reader's zone. */
export function shortMoment(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? 'unknown' : shortFormat.format(date);
}

/** `21 Nov 2026` in the reader's zone. */
export function day(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? 'unknown' : dayFormat.format(date);
}

/** To the millisecond, with zone, for the tooltip. */
export function exactMoment(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : exactFormat.format(date);
}

/** The reader's zone as `Europe/Berlin (UTC+1)`. */
export function zoneName(now: number): string {
  const offset = -new Date(now).getTimezoneOffset();
  const hours = Math.trunc(offset / 60);
  const minutes = Math.abs(offset % 60);
  const sign = offset < 0 ? '−' : '+';
  const suffix = offset === 0 ? 'UTC' : `UTC${sign}${Math.abs(hours)}${minutes === 0 ? '' : `:${minutes}`}`;
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return name === 'UTC' ? 'UTC' : `${name} (${suffix})`;
}
