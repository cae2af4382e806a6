// The keys of the watermark: the tenant's payload key, derived from its data key, and the installation's sync key. The id in
// the pixels says nothing of tenant or version: without the key it cannot be read, and the version lives in the key.
import { randomBytes } from 'node:crypto';
import type { PayloadKey, SyncKey } from '@lumatrace/provenance/watermark/keys.ts';
import type { Database, Sql } from '../storage/database.ts';
import {
  insertWatermarkKey,
  listWatermarkKeys,
  lockWatermarkKeys,
  retireWatermarkKey,
  supersedeWatermarkKeys,
  type WatermarkKeyRow,
} from '../storage/postgres/watermark-keys.ts';
import type { InstallationKeys } from './installation-keys.ts';
import type { TenantKeys } from './tenant-key.ts';
import { KeyError } from './kek.ts';

export interface WatermarkKeys {
  /** 64 random bits: unique in a tenant by a constraint of the database. */
  newId(): bigint;
  /** What marks now; the first version is made on first use. */
  forMarking(tenantId: string): Promise<{ sync: SyncKey; payload: PayloadKey }>;
  /** What may have marked: newest first, bounded. What marked a known photo stands first, unless it was retired. */
  forReading(tenantId: string, marked?: MarkVersions): Promise<{ syncs: SyncKey[]; payloads: PayloadKey[] }>;
  /** What marked one picture, to build it again. @throws KeyError KEY_UNKNOWN_VERSION for a sync version that is gone */
  ofVersions(tenantId: string, sync: number, payload: number): Promise<{ sync: SyncKey; payload: PayloadKey }>;
  /** Every version of the tenant's payload key, newest first; no material. */
  list(tenantId: string): Promise<WatermarkKeyRow[]>;
  /** A new version marks from now on, the old ones still read. Answers its number. `record` runs in the transaction. */
  rotate(tenantId: string, record?: (sql: Sql, version: number) => Promise<void>): Promise<number>;
  /** A version reads no more. @throws KeyError KEY_UNKNOWN_VERSION unless it is one that only reads */
  retire(tenantId: string, version: number, record?: (sql: Sql) => Promise<void>): Promise<void>;
}

/** Which versions marked a photo. */
export interface MarkVersions {
  syncVersion: number;
  payloadVersion: number;
}

export interface WatermarkKeysOptions {
  database: Database;
  tenantKeys: TenantKeys;
  installationKeys: InstallationKeys;
}

/** Versions that are tried on a picture; older ones are kept and not tried. */
const READ_VERSIONS = 3;

/** As many as are tried, the one named first. */
function firstOf<Row extends { version: number }>(newestFirst: readonly Row[], version: number | undefined): Row[] {
  const named = newestFirst.filter((row) => row.version === version);
  return [...named, ...newestFirst.filter((row) => row.version !== version)].slice(0, READ_VERSIONS);
}

export function createWatermarkKeys({ database, tenantKeys, installationKeys }: WatermarkKeysOptions): WatermarkKeys {
  const versionsOf = (tenantId: string): Promise<WatermarkKeyRow[]> =>
    database.inTenant(tenantId, async (sql) => {
      const rows = await listWatermarkKeys(sql, tenantId);
      if (rows.length > 0) return rows;
      await insertWatermarkKey(sql, tenantId, 1);
      return listWatermarkKeys(sql, tenantId);
    });
  const payloadOf = async (tenantId: string, version: number): Promise<PayloadKey> => {
    const key = await tenantKeys.forTenant(tenantId);
    return { tenantId, version, secret: key.derive('watermark', `payload|${version}`) };
  };
  return {
    newId: () => randomBytes(8).readBigUInt64BE(),
    async forMarking(tenantId) {
      const active = (await versionsOf(tenantId)).find(({ state }) => state === 'active');
      if (active === undefined) throw new KeyError('KEY_DESTROYED', 'The tenant has no watermark key in force.');
      return {
        sync: await installationKeys.secret('watermark-sync'),
        payload: await payloadOf(tenantId, active.version),
      };
    },
    async forReading(tenantId, marked) {
      const rows = (await versionsOf(tenantId)).filter(({ state }) => state !== 'retired');
      const syncs = await installationKeys.versions('watermark-sync');
      const tried = firstOf(rows, marked?.payloadVersion);
      return {
        syncs: firstOf(syncs, marked?.syncVersion),
        payloads: await Promise.all(tried.map(({ version }) => payloadOf(tenantId, version))),
      };
    },
    async ofVersions(tenantId, syncVersion, payloadVersion) {
      const sync = (await installationKeys.versions('watermark-sync')).find(({ version }) => version === syncVersion);
      if (sync === undefined) {
        throw new KeyError('KEY_UNKNOWN_VERSION', `The watermark's sync key ${syncVersion} is not kept any more.`);
      }
      return { sync, payload: await payloadOf(tenantId, payloadVersion) };
    },
    list: versionsOf,
    rotate: (tenantId, record) =>
      database.inTenant(tenantId, async (sql) => {
        await lockWatermarkKeys(sql, tenantId);
        const newest = (await listWatermarkKeys(sql, tenantId))[0]?.version ?? 0;
        await supersedeWatermarkKeys(sql, tenantId);
        await insertWatermarkKey(sql, tenantId, newest + 1);
        await record?.(sql, newest + 1);
        return newest + 1;
      }),
    retire: (tenantId, version, record) =>
      database.inTenant(tenantId, async (sql) => {
        if (!(await retireWatermarkKey(sql, tenantId, version))) {
          throw new KeyError('KEY_UNKNOWN_VERSION', `Version ${version} of the watermark key does not only read.`);
        }
        await record?.(sql);
      }),
  };
}
