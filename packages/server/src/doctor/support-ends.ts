// When the makers of Node and PostgreSQL stop mending them, as published; a version that is not here is not judged.

/** Day on which these lists were compared with their sources. */
export const COMPARED_ON = '2026-11-23';

/** Major version → last day of support. Source: github.com/nodejs/release, schedule.json. */
export const NODE_ENDS: ReadonlyMap<number, string> = new Map([
  [18, '2025-04-30'],
  [20, '2026-04-30'],
  [22, '2027-04-30'],
  [23, '2025-06-01'],
  [24, '2028-04-30'],
  [25, '2026-06-01'],
]);

/** Major version → last day of support. Source: postgresql.org/support/versioning. */
export const POSTGRESQL_ENDS: ReadonlyMap<number, string> = new Map([
  [13, '2025-11-13'],
  [14, '2026-11-12'],
  [15, '2027-11-11'],
  [16, '2028-11-09'],
  [17, '2029-11-08'],
  [18, '2030-11-14'],
]);
