// A job: removes the answers under Idempotency-Keys whose 24 hours are over, tenant by tenant.
import type { Database } from '../storage/database.ts';
import { everyTenant, removeExpiredKeys } from '../storage/postgres/idempotency.ts';

const ROWS_PER_TRANSACTION = 1_000;

/** Answers how many rows went. Safe to run twice at once and to stop half way; run it once an hour. */
export async function removeExpiredAnswers(database: Database): Promise<number> {
  let removed = 0;
  for (const tenantId of await database.inSystem(everyTenant)) {
    for (let last = ROWS_PER_TRANSACTION; last === ROWS_PER_TRANSACTION;) {
      last = await database.inTenant(tenantId, (sql) => removeExpiredKeys(sql, tenantId, ROWS_PER_TRANSACTION));
      removed += last;
    }
  }
  return removed;
}
