// Seals what earlier versions of the program kept in clear, and again what lies under an earlier version of its key. Run at
// every start before anybody is served, and every night: in small
// transactions, so that a start that is killed goes on where it was; two at once share the work.
import type { Database } from '../storage/database.ts';
import { sealManifests, tenantsWithOpenManifests } from '../storage/postgres/photos.ts';
import { listAccountsToSeal, rewriteAccounts, sealAccount } from '../storage/postgres/accounts.ts';

const BATCH = 500;

/** Returns how many rows were sealed now, from clear or from under an earlier version of their key; mostly none. */
export async function sealOpenRows(database: Database): Promise<number> {
  let wereOpen = 0;
  const sealed = await inBatches(() =>
    database.inSystem(async (sql) => {
      const accounts = await listAccountsToSeal(sql, BATCH);
      for (const account of accounts) await sealAccount(sql, account);
      wereOpen += accounts.filter(({ wasOpen }) => wasOpen).length;
      return accounts.length;
    }),
  );
  // an update leaves the row as it was in the file until the table is written anew
  if (wereOpen > 0) await rewriteAccounts(database);
  return sealed;
}

const TENANTS = 1_000;
const MANIFESTS = 50;

/** Every night, beside everything else: manifests of earlier versions. Returns how many were sealed now. */
export async function sealOpenManifests(database: Database): Promise<number> {
  let sealed = 0;
  for (const tenantId of await database.inSystem((sql) => tenantsWithOpenManifests(sql, TENANTS)))
    sealed += await inBatches(() =>
      database.inTenant(tenantId, (sql) => sealManifests(sql, tenantId, MANIFESTS)),
    ).catch((error: { code?: string }) => {
      // of a tenant that was erased there is no key: nobody reads its manifests any more
      if (error.code === 'TENANT_RESTRICTED') return 0;
      throw error;
    });
  return sealed;
}

async function inBatches(batch: () => Promise<number>): Promise<number> {
  for (let total = 0; ;) {
    const done = await batch();
    total += done;
    if (done === 0) return total;
  }
}
