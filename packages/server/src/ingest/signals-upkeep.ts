// What the signals beside spans need by the clock. Records and points go with their partitions; scores and series of
// metrics are rows of their own.
import type { Database } from '../storage/database.ts';
import { everyTenant } from '../storage/postgres/idempotency.ts';
import { deleteExpiredSeries } from '../storage/postgres/metrics.ts';
import { deleteExpiredScores } from '../storage/postgres/scores.ts';
import { readTerms } from '../storage/postgres/usage.ts';

const DAY_MS = 86_400_000;

/**
 * Takes out, for every tenant, the scores and the series of metrics that have been kept long enough. Safe to run twice at
 * once; run it once a day. Answers how many rows went.
 */
export async function upkeepSignals(database: Database, nowMs: number): Promise<number> {
  const today = Math.floor(nowMs / DAY_MS);
  let gone = 0;
  for (const tenantId of await database.inSystem(everyTenant)) {
    gone += await database.inTenant(tenantId, async (sql) => {
      const terms = await readTerms(sql, tenantId, isoDay(today));
      // a series lives as long as its last point; a shorter retention holds for points that come after it was chosen
      const firstKept = isoDay(today - (terms?.retentionClass ?? 0) - 1);
      const series = await deleteExpiredSeries(sql, tenantId, firstKept);
      return series + (await deleteExpiredScores(sql, tenantId, isoDay(today)));
    });
  }
  return gone;
}

function isoDay(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
