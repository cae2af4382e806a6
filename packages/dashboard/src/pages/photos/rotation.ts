// A year of keys as positions on a strip: from the month before last, so that what just changed is still in sight.

/** A key as the inventory shows it. */
export interface KeyShown {
  kind: string;
  id: string;
  owner: 'installation' | 'tenant';
  createdAt: string;
  rotateAt: string | null;
  endsAt: string | null;
  revokedAt: string | null;
  state: 'next' | 'active' | 'due' | 'verifying' | 'ended' | 'revoked';
}

export interface Year {
  startMs: number;
  endMs: number;
  /** The first of each month, UTC. */
  months: readonly number[];
}

const MONTHS_BACK = 2;
const MONTHS = 12;

/** Twelve whole months in UTC around a moment. */
export function yearAround(nowMs: number): Year {
  const now = new Date(nowMs);
  const first = (month: number): number => Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - MONTHS_BACK + month, 1);
  const months = Array.from({ length: MONTHS }, (_, month) => first(month));
  return { startMs: first(0), endMs: first(MONTHS), months };
}

/** Share of the year from its start, within 0 and 1. */
export function placeOf(year: Year, ms: number): number {
  return Math.min(1, Math.max(0, (ms - year.startMs) / (year.endMs - year.startMs)));
}

/** Whether a moment lies in the year. */
export const isIn = (year: Year, ms: number): boolean => ms >= year.startMs && ms < year.endMs;

/** From its making to its end or revocation, cut to the year; null when that lies outside. A key without end runs on. */
export function barOf(year: Year, key: KeyShown): { from: number; to: number } | null {
  const endMs = Math.min(msOf(key.endsAt), msOf(key.revokedAt));
  const createdMs = Date.parse(key.createdAt);
  if (endMs <= year.startMs || createdMs >= year.endMs) return null;
  return { from: placeOf(year, createdMs), to: placeOf(year, endMs) };
}

const msOf = (iso: string | null): number => (iso === null ? Number.POSITIVE_INFINITY : Date.parse(iso));

export interface Appointment {
  key: KeyShown;
  at: string;
  what: 'rotates' | 'ends';
}

/** What comes next for keys that are in use, soonest first; one that is due stands first. */
export function appointments(keys: readonly KeyShown[]): Appointment[] {
  return keys
    .flatMap((key): Appointment[] => {
      if (key.state !== 'active' && key.state !== 'due' && key.state !== 'next') return [];
      if (key.rotateAt !== null) return [{ key, at: key.rotateAt, what: 'rotates' }];
      return key.endsAt === null ? [] : [{ key, at: key.endsAt, what: 'ends' }];
    })
    .toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at));
}
