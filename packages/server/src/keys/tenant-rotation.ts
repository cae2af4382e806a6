// Rotation of tenants' data keys: a new version on schedule or by hand, the old one sealed away from, then destroyed.
import { randomBytes } from 'node:crypto';
import type { Sql } from '../storage/database.ts';
import type { AlertRow } from '../storage/postgres/audit-alerts.ts';
import { insertTenantKey, listTenantKeys } from '../storage/postgres/key-store.ts';
import { listProgress, type PlaceProgress } from '../storage/postgres/reencryption.ts';
import {
  agedTenantKeys,
  destroyTenantKeys,
  listTenantKeyDates,
  lockTenantKeys,
  supersedeTenantKeys,
  tenantsWithOldKeys,
  type TenantKeyDates,
} from '../storage/postgres/tenant-rotation.ts';
import type { Kek } from './kek.ts';
import { createReencryption, type ReencryptionOptions } from './reencryption.ts';
import { KEY_BYTES, rootOf, STOP_AFTER_MS, TenantErased } from './tenant-key-ring.ts';
import { openTenantKeys, SETTLED_MS, tenantKeyUse } from './tenant-keys.ts';

const DAY_MS = 86_400_000;
export const ROTATE_AFTER_MS = 60 * DAY_MS;
/** NIST SP 800-38D allows 2^32 random nonces under one key; at the rate of 11,400 spans a second this is a day. */
export const ROTATE_AFTER_SEALS = 2 ** 30;
/** Somebody is told when the schedule did not do its work. */
export const LATE_AFTER_MS = { 'key.late': 75 * DAY_MS, 'key.overdue': 85 * DAY_MS } as const;
/** In one round; the next comes ten minutes later. */
const MAX_TENANTS = 1_000;

/** What happened to a data key; told in the transaction of its effect. */
export interface KeyEvent {
  tenantId: string;
  action: 'tenant-key.rotate' | 'tenant-key.supersede' | 'tenant-key.destroy';
  versions: readonly number[];
}

export interface TenantRotationOptions extends ReencryptionOptions {
  kek: Kek;
  /** Writes the audit line of what the schedule does. */
  record: (sql: Sql, event: KeyEvent) => Promise<void>;
  alert: (row: AlertRow) => Promise<void>;
  onError: (error: unknown, tenantId: string) => void;
  settledMs?: number;
}

export interface TenantRotation {
  /**
   * Writes a new version, which seals from `settledMs` on; while one is on its way nothing is made and its number is
   * answered, so twice at once is once. `record` runs in the transaction in place of the schedule's.
   * @throws TenantErased
   */
  rotate(tenantId: string, record?: TenantRotationOptions['record']): Promise<{ version: number; isNew: boolean }>;
  /** Every tenant's, whatever its age. Answers how many; one whose version is on its way is left. */
  rotateAll(): Promise<number>;
  /** What the schedule does every ten minutes: rotates, seals again, destroys, tells what is late. One tenant's failure
   * does not hold up another's. */
  work(signal: AbortSignal): Promise<void>;
  progress(tenantId: string): Promise<PlaceProgress[]>;
  /** Newest first; no material. */
  list(tenantId: string): Promise<TenantKeyDates[]>;
}

export function createTenantRotation(options: TenantRotationOptions): TenantRotation {
  const { database, tenantKeys, alert, onError } = options;
  const reencryption = createReencryption(options);

  const rotate: TenantRotation['rotate'] = async (tenantId, record = options.record) => {
    // there is one to rotate
    await tenantKeys.forTenant(tenantId);
    return database.inTenant(tenantId, (sql) => addVersion(sql, tenantId, options, record));
  };

  const workOn = async (tenantId: string, signal: AbortSignal): Promise<void> => {
    await database.inTenant(tenantId, async (sql) => {
      await lockTenantKeys(sql, tenantId);
      const versions = await supersedeTenantKeys(sql, tenantId);
      if (versions.length > 0) await options.record(sql, { tenantId, action: 'tenant-key.supersede', versions });
    });
    const { state, keys } = await reencryption.work(tenantId, signal);
    if (state !== 'done' || keys === undefined) return;
    await database.inTenant(tenantId, async (sql) => {
      await lockTenantKeys(sql, tenantId);
      await destroyTenantKeys(sql, tenantId, keys.old);
      await options.record(sql, { tenantId, action: 'tenant-key.destroy', versions: keys.old });
    });
  };

  const each = async (tenants: readonly string[], signal: AbortSignal, work: (id: string) => Promise<unknown>) => {
    for (const tenantId of tenants) {
      if (signal.aborted) return;
      await work(tenantId).catch((error: unknown) => onError(error, tenantId));
    }
  };

  const rotateAll = async (): Promise<number> => {
    let rotated = 0;
    for (;;) {
      // a tenant that was rotated has a version on its way and is not among them any more
      const tenants = await database.inSystem((sql) =>
        agedTenantKeys(sql, { ageMs: 0, seals: Infinity, limit: MAX_TENANTS }),
      );
      const before = rotated;
      await each(
        tenants.map(({ tenantId }) => tenantId),
        new AbortController().signal,
        async (tenantId) => {
          if ((await rotate(tenantId)).isNew) rotated++;
        },
      );
      if (rotated === before) return rotated;
    }
  };

  return {
    rotate,
    rotateAll,
    async work(signal) {
      const due = { ageMs: ROTATE_AFTER_MS, seals: ROTATE_AFTER_SEALS, limit: MAX_TENANTS };
      const aged = await database.inSystem((sql) => agedTenantKeys(sql, due));
      await tellLate(aged, alert);
      await each(
        aged.map(({ tenantId }) => tenantId),
        signal,
        (tenantId) => rotate(tenantId),
      );
      const old = await database.inSystem((sql) => tenantsWithOldKeys(sql, MAX_TENANTS));
      await each(old, signal, (tenantId) => workOn(tenantId, signal));
    },
    progress: (tenantId) => database.inTenant(tenantId, (sql) => listProgress(sql, tenantId)),
    list: (tenantId) => database.inTenant(tenantId, (sql) => listTenantKeyDates(sql, tenantId)),
  };
}

async function addVersion(
  sql: Sql,
  tenantId: string,
  { kek, settledMs = SETTLED_MS }: TenantRotationOptions,
  record: TenantRotationOptions['record'],
): Promise<{ version: number; isNew: boolean }> {
  await lockTenantKeys(sql, tenantId);
  const rows = await listTenantKeys(sql, tenantId);
  const newest = rows.find(({ state }) => state === 'active');
  if (newest === undefined) throw new TenantErased();
  if (newest.ageMs < 0 && newest.version > 1) return { version: newest.version, isNew: false };
  if (!rows.some(({ version }) => version === 0)) await keepRoot(sql, kek, tenantId);
  const version = newest.version + 1;
  await record(sql, { tenantId, action: 'tenant-key.rotate', versions: [version] });
  // last, so that what an audit line waits for does not eat the time in which others read the new version
  const wrapped = kek.wrap(tenantKeyUse(tenantId, version), randomBytes(KEY_BYTES));
  await insertTenantKey(sql, { tenantId, version, wrapped, settledInMs: settledMs });
  return { version, isNew: true };
}

async function keepRoot(sql: Sql, kek: Kek, tenantId: string): Promise<void> {
  const { versions } = await openTenantKeys(sql, kek, tenantId);
  const one = versions.find(({ version }) => version === 1);
  if (one === undefined) throw new TenantErased();
  const wrapped = kek.wrap(tenantKeyUse(tenantId, 0), rootOf(tenantId, one.secret));
  await insertTenantKey(sql, { tenantId, version: 0, wrapped, settledInMs: 0 });
}

async function tellLate(
  aged: readonly { tenantId: string; version: number; ageMs: number }[],
  alert: TenantRotationOptions['alert'],
): Promise<void> {
  for (const { tenantId, version, ageMs } of aged) {
    if (ageMs < LATE_AFTER_MS['key.late']) continue;
    const kind = ageMs < LATE_AFTER_MS['key.overdue'] ? 'key.late' : 'key.overdue';
    const daysLeft = Math.max(0, Math.floor((STOP_AFTER_MS - ageMs) / DAY_MS));
    await alert({ kind, about: `tenant:${tenantId}`, detail: { key: 'tenant-data', version, daysLeft } });
  }
}
