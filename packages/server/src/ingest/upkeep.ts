// What telemetry needs by the clock: rollup deltas merged into cells, and whatever has been kept long enough taken out.
import type { Database } from '../storage/database.ts';
import { everyTenant } from '../storage/postgres/idempotency.ts';
import { compactRollups, deleteRollups, daysOfRollups } from '../storage/postgres/rollups.ts';
import { deleteExpiredTraces } from '../storage/postgres/traces.ts';
import { deleteUsage, readTerms } from '../storage/postgres/usage.ts';

const MINUTE_MS = 60_000;
const MINUTES_PER_DAY = 1_440;
const DAY_MS = 86_400_000;
/** Rollups outlive their rows, so that a month can be compared with the one before. */
const ROLLUP_DAYS_BEYOND_ROWS = 90;
const USAGE_DAYS = 400;
/** Spans of the running minute and the one before still arrive: merging them now would be done twice. */
const SETTLED_MINUTES = 2;
const RECENT_MINUTES = 180;
const TRACES_PER_TRANSACTION = 5_000;

/** Merges the deltas of the last hours of one tenant. Safe to run twice at once. */
export async function mergeRecentRollups(database: Database, tenantId: string, nowMs: number): Promise<void> {
  const minute = Math.floor(nowMs / MINUTE_MS);
  await database.inTenant(tenantId, (sql) =>
    compactRollups(sql, tenantId, {
      from: minute - RECENT_MINUTES,
      until: minute + 1,
      settled: minute - SETTLED_MINUTES,
    }),
  );
}

/**
 * For every tenant: merges what late spans left behind, and takes out summaries, rollups and usage that have been kept
 * long enough. Spans and content go with their partitions. Safe to run twice at once and to stop half way; run it once
 * a day. Answers how many traces went.
 */
export async function upkeepTelemetry(database: Database, nowMs: number): Promise<number> {
  const today = Math.floor(nowMs / DAY_MS);
  let expired = 0;
  for (const tenantId of await database.inSystem(everyTenant)) {
    await mergeAllRollups(database, tenantId, nowMs);
    for (let gone = TRACES_PER_TRANSACTION; gone === TRACES_PER_TRANSACTION; expired += gone) {
      gone = await database.inTenant(tenantId, (sql) =>
        deleteExpiredTraces(sql, tenantId, today, TRACES_PER_TRANSACTION),
      );
    }
    await database.inTenant(tenantId, async (sql) => {
      const terms = await readTerms(sql, tenantId, isoDay(today));
      const rollupDays = (terms?.retentionClass ?? 0) + ROLLUP_DAYS_BEYOND_ROWS;
      await deleteRollups(sql, tenantId, (today - rollupDays) * MINUTES_PER_DAY);
      await deleteUsage(sql, tenantId, isoDay(today - USAGE_DAYS));
    });
  }
  return expired;
}

/** Day by day, so that no statement reads more than a day's deltas; what carries a time of tomorrow is there too. */
async function mergeAllRollups(database: Database, tenantId: string, nowMs: number): Promise<void> {
  const settled = Math.floor(nowMs / MINUTE_MS) - SETTLED_MINUTES;
  for (const day of await database.inTenant(tenantId, (sql) => daysOfRollups(sql, tenantId))) {
    const range = { from: day * MINUTES_PER_DAY, until: (day + 1) * MINUTES_PER_DAY, settled };
    for (let before = 1; before > 0;) {
      const merged = await database.inTenant(tenantId, (sql) => compactRollups(sql, tenantId, range));
      before = merged.before;
    }
  }
}

function isoDay(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
