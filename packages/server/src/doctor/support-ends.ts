// When the makers of Node and PostgreSQL stop mending them, as published; a version that is not here is not judged.

/** Day on which these lists were compared with their sources. */
export const COMPARED_ON = '2026-11-23';

/** Major version → last day of support. Source: schedule.json of github.com/nodejs/Release as of 2026-07-02. */
export const NODE_ENDS: ReadonlyMap<number, string> = new Map([
  [18, '2025-04-30'],
  [20, '2026-04-30'],
  [21, '2024-06-01'],
  [22, '2027-04-30'],
  [23, '2025-06-01'],
  [24, '2028-04-30'],
  [25, '2026-06-01'],
  [26, '2029-04-30'],
  [27, '2030-04-30'],
]);

/**
 * Major version → last day of support. Source: postgresql.org/support/versioning; of 14, 17 and 18 only the month was seen,
 * the day is the second Thursday of November as for all others.
 */
export const POSTGRESQL_ENDS: ReadonlyMap<number, string> = new Map([
  [13, '2025-11-13'],
  [14, '2026-11-12'],
  [15, '2027-11-11'],
  [16, '2028-11-09'],
  [17, '2029-11-08'],
  [18, '2030-11-14'],
]);
