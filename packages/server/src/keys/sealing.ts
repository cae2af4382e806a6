// Seals what earlier versions of the program kept in clear. Run at every start before anybody is served: in small
// transactions, so that a start that is killed goes on where it was; two at once share the work.
import type { Database } from '../storage/database.ts';
import { listAccountsToSeal, rewriteAccounts, sealAccount } from '../storage/postgres/accounts.ts';

const BATCH = 500;

/** Returns how many rows were sealed now; none at every start but the first of a new version. */
export async function sealOpenRows(database: Database): Promise<number> {
  const sealed = await inBatches(() =>
    database.inSystem(async (sql) => {
      const accounts = await listAccountsToSeal(sql, BATCH);
      for (const account of accounts) await sealAccount(sql, account);
      return accounts.length;
    }),
  );
  // an update leaves the row as it was in the file until the table is written anew
  if (sealed > 0) await rewriteAccounts(database);
  return sealed;
}

async function inBatches(batch: () => Promise<number>): Promise<number> {
  for (let total = 0; ;) {
    const done = await batch();
    total += done;
    if (done === 0) return total;
  }
}
