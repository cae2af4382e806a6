// Erasing a tenant: its keys at once, so that nothing of it opens wherever a copy lies; its rows by a job; and what was done
// is signed. Keys, people and the audit line go in one transaction; all that follows may end anywhere and goes on.
import { randomUUID, type KeyObject } from 'node:crypto';
import type { Database } from '../storage/database.ts';
import {
  ERASED_TABLES,
  findErasure,
  finishErasure,
  insertErasure,
  KEPT_TABLES,
  removePeople,
  removeRows,
  shredTenantKeys,
  unfinishedErasures,
  type ErasureRow,
} from '../storage/postgres/erasure.ts';
import { lockTenantKeys } from '../storage/postgres/tenant-rotation.ts';
import { actAsTenant, findTenant } from '../storage/postgres/tenants.ts';
import { audit } from './audit.ts';
import { writeCertificate, type ErasureFacts } from './erasure-certificate.ts';
import { Refusal } from './refusal.ts';

/** Rows in one transaction: few, so that nobody waits for it. */
const BATCH_ROWS = 5_000;
/** The last look begins so long after the keys went: by then every process knows, and its writes in flight have ended. */
export const SETTLED_MS = 120_000;
/** Of each; what is beyond follows by the job, and opens nothing. */
const MAX_WAYS_IN = 100_000;
const WAYS_IN = ['sessions', 'api_keys', 'service_accounts'] as const;

export interface Erasure {
  tenantId: string;
  erasureId: string;
  keysDestroyedAt: Date;
  keyVersions: number[];
  removed: Record<string, number>;
  /** Null while rows are removed. */
  certificate: string | null;
}

export interface Erasures {
  /**
   * Destroys the keys, the ways in and the people of a tenant; rows follow. Erasing twice is erasing once. `name` is the
   * tenant's, said again. @throws Refusal NOT_FOUND, VALIDATION_FAILED for another name.
   */
  begin(tenantId: string, by: { actor: string; requestId: string; name: string }): Promise<Erasure>;
  find(by: { tenantId: string } | { erasureId: string }): Promise<Erasure | undefined>;
  /** Removes rows of every tenant that is being erased and signs what is done. @returns whether something is left. */
  work(signal: AbortSignal): Promise<boolean>;
}

export interface ErasuresOptions {
  database: Database;
  /** Ed25519, of audit checkpoints. */
  signingKey: KeyObject;
  /** This process opens nothing of it any more. */
  forget: (tenantId: string) => void;
  settledMs?: number;
}

export function createErasures({ database, signingKey, forget, settledMs = SETTLED_MS }: ErasuresOptions): Erasures {
  const inTenantAsOwner = <T>(tenantId: string, work: (sql: Parameters<typeof actAsTenant>[0]) => Promise<T>) =>
    database.inSystem(async (sql) => {
      await actAsTenant(sql, tenantId);
      return work(sql);
    });

  const begin: Erasures['begin'] = async (tenantId, { actor, requestId, name }) => {
    const row = await inTenantAsOwner(tenantId, async (sql) => {
      await lockTenantKeys(sql, tenantId);
      const known = await findErasure(sql, { tenantId });
      if (known !== undefined) return known;
      const tenant = await findTenant(sql, tenantId);
      if (tenant === undefined) throw new Refusal('NOT_FOUND', 'There is no such tenant.');
      if (tenant.name !== name)
        throw new Refusal('VALIDATION_FAILED', 'Expected the name of the tenant, as it is, to confirm.');
      const keyVersions = await shredTenantKeys(sql, tenantId);
      const erasureId = randomUUID();
      await insertErasure(sql, { tenantId, erasureId, keyVersions });
      for (const table of WAYS_IN) await removeRows(sql, tenantId, table, MAX_WAYS_IN);
      await removePeople(sql, tenantId);
      await audit(sql, {
        tenantId,
        actor,
        requestId,
        action: 'tenant.erase',
        object: `tenant:${tenantId}`,
        outcome: 'done',
        detail: { erasureId, keyVersions },
      });
      return (await findErasure(sql, { tenantId })) as ErasureRow;
    });
    forget(tenantId);
    return shown(row);
  };

  const removeAll = async (tenantId: string, signal: AbortSignal): Promise<number | undefined> => {
    let removed = 0;
    for (const table of ERASED_TABLES) {
      for (let n = 1; n > 0; removed += n) {
        if (signal.aborted) return undefined;
        n = await inTenantAsOwner(tenantId, (sql) => removeRows(sql, tenantId, table, BATCH_ROWS));
      }
    }
    return removed;
  };

  const finish = (tenantId: string): Promise<void> =>
    inTenantAsOwner(tenantId, async (sql) => {
      await lockTenantKeys(sql, tenantId);
      const row = await findErasure(sql, { tenantId });
      if (row === undefined || row.finishedAt !== null) return;
      const finishedAt = new Date();
      const certificate = writeCertificate(signingKey, factsOf(row, finishedAt));
      await finishErasure(sql, tenantId, { finishedAt, certificate });
      await audit(sql, {
        tenantId,
        actor: 'system',
        requestId: 'erasure',
        action: 'tenant.erased',
        object: `tenant:${tenantId}`,
        outcome: 'done',
        detail: { erasureId: row.erasureId, removed: row.removed },
      });
    });

  return {
    begin,
    async find(by) {
      const read = (sql: Parameters<typeof findErasure>[0]) => findErasure(sql, by);
      const row = await ('tenantId' in by ? inTenantAsOwner(by.tenantId, read) : database.inLookup(by.erasureId, read));
      return row && shown(row);
    },
    async work(signal) {
      let isLeft = false;
      for (const { tenantId, ageMs } of await database.inSystem(unfinishedErasures)) {
        forget(tenantId);
        // what was still written after the keys went is found by a look that begins later
        let removed = await removeAll(tenantId, signal);
        if (removed !== 0 && ageMs >= settledMs) removed = await removeAll(tenantId, signal);
        if (removed === 0 && ageMs >= settledMs) await finish(tenantId);
        else isLeft = true;
      }
      return isLeft;
    },
  };
}

function factsOf(row: ErasureRow, finishedAt: Date): ErasureFacts {
  return {
    format: 'lumatrace-erasure-1',
    erasureId: row.erasureId,
    tenantId: row.tenantId,
    keysDestroyedAt: row.requestedAt.toISOString(),
    finishedAt: finishedAt.toISOString(),
    keyVersionsDestroyed: row.keyVersions,
    rowsRemoved: row.removed,
    survives: [
      ...[...KEPT_TABLES].map(([what, why]) => ({ what, why })),
      {
        what: 'backups made before keysDestroyedAt',
        why: 'they hold the wrapped keys: they open until they, or the key-encryption key of their time, are destroyed',
      },
    ],
  };
}

function shown({ tenantId, erasureId, requestedAt, keyVersions, removed, certificate }: ErasureRow): Erasure {
  return { tenantId, erasureId, keysDestroyedAt: requestedAt, keyVersions, removed, certificate };
}
