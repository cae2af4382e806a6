// Data keys of tenants: made on first use, kept wrapped by the KEK, read again while they are used so that every process
// knows a new version before anything is sealed with it.
import { randomBytes } from 'node:crypto';
import type { Database, Sql } from '../storage/database.ts';
import { addSeals, insertTenantKey, listTenantKeys, type WrappedKeyRow } from '../storage/postgres/key-store.ts';
import { KeyError, type Kek } from './kek.ts';
import type { TenantKey, TenantKeys } from './tenant-key.ts';
import {
  KEY_BYTES,
  readRoot,
  TenantErased,
  TenantKeyRing,
  TRUSTED_FOR_MS,
  type KeyMaterial,
} from './tenant-key-ring.ts';

/** A tenant's key is read again after this long, in the background while it is used. */
export const RELOAD_AFTER_MS = 20_000;
/** A new version comes into use so long after it was written: by then every process opens with it. Nobody uses a key that
 * was read longer than two thirds of it ago without reading it again. */
export const SETTLED_MS = 3 * RELOAD_AFTER_MS;
/** Tenants whose keys are held at once; the least recently used goes first. */
const MAX_HELD = 10_000;

export interface TenantKeysOptions {
  database: Database;
  kek: Kek;
  /** Monotonic milliseconds. */
  nowMs?: () => number;
  reloadAfterMs?: number;
}

interface Held {
  ring: TenantKeyRing;
  readAtMs: number;
  reading: Promise<TenantKey> | undefined;
}

/** A failed first load is not remembered; a failed reload leaves what was read, for as long as it may be trusted. */
export function createTenantKeys({
  database,
  kek,
  nowMs = () => performance.now(),
  reloadAfterMs = RELOAD_AFTER_MS,
}: TenantKeysOptions): TenantKeys {
  const held = new Map<string, Held>();

  const read = (tenantId: string, entry: Held): Promise<TenantKey> => {
    entry.reading ??= load(tenantId, entry).finally(() => (entry.reading = undefined));
    return entry.reading;
  };
  const load = async (tenantId: string, entry: Held): Promise<TenantKey> => {
    // the age counts from before the read
    const readAtMs = nowMs();
    const seals = entry.ring.takeSeals();
    try {
      entry.ring.give(await readMaterial(database, kek, tenantId, seals, readAtMs));
      entry.readAtMs = readAtMs;
      return entry.ring;
    } catch (error) {
      if (error instanceof TenantErased || entry.readAtMs === -Infinity) {
        entry.ring.forget();
        if (held.get(tenantId) === entry) held.delete(tenantId);
      } else {
        entry.ring.returnSeals(seals);
        entry.ring.staleAgainAfter(reloadAfterMs / 10);
      }
      throw error;
    }
  };
  const hold = (tenantId: string): Held => {
    const ring = new TenantKeyRing({
      tenantId,
      nowMs,
      reloadAfterMs,
      // whoever holds the ring goes on with what it has
      onStale: () => void read(tenantId, entry).catch(() => undefined),
    });
    const entry: Held = { ring, readAtMs: -Infinity, reading: undefined };
    for (const [id, { readAtMs }] of held) if (nowMs() - readAtMs >= TRUSTED_FOR_MS) held.delete(id);
    if (held.size >= MAX_HELD) held.delete(held.keys().next().value as string);
    held.set(tenantId, entry);
    return entry;
  };

  return {
    forTenant(tenantId) {
      const entry = held.get(tenantId) ?? hold(tenantId);
      if (nowMs() - entry.readAtMs < 2 * reloadAfterMs) {
        // put last again: the first is the least recently used
        held.delete(tenantId);
        held.set(tenantId, entry);
        return Promise.resolve(entry.ring);
      }
      return read(tenantId, entry);
    },
    forget(tenantId) {
      held.get(tenantId)?.ring.forget();
      held.delete(tenantId);
    },
  };
}

async function readMaterial(
  database: Database,
  kek: Kek,
  tenantId: string,
  seals: ReadonlyMap<number, number>,
  readAtMs: number,
): Promise<KeyMaterial> {
  const rows = await database.inTenant(tenantId, async (sql) => {
    await addSeals(sql, tenantId, seals);
    const existing = await listTenantKeys(sql, tenantId);
    if (existing.length > 0) return existing;
    const wrapped = kek.wrap(tenantKeyUse(tenantId, 1), randomBytes(KEY_BYTES));
    // When two make the first key at once, the second insert waits for the first and then does nothing; reading
    // again gives both of them the key that was committed.
    await insertTenantKey(sql, { tenantId, version: 1, wrapped, settledInMs: 0 });
    return listTenantKeys(sql, tenantId);
  });
  return openMaterial(kek, tenantId, rows, readAtMs);
}

/** In a tenant transaction: every version that still opens, in clear, as it is committed now. */
export async function openTenantKeys(sql: Sql, kek: Kek, tenantId: string): Promise<KeyMaterial> {
  return openMaterial(kek, tenantId, await listTenantKeys(sql, tenantId), 0);
}

/** What a wrapped version or root is bound to. */
export const tenantKeyUse = (tenantId: string, version: number): string => `tdek|${tenantId}|${version}`;

function openMaterial(kek: Kek, tenantId: string, rows: readonly WrappedKeyRow[], readAtMs: number): KeyMaterial {
  const live = rows.filter(({ state }) => state !== 'destroyed');
  if (live.length === 0) throw new TenantErased();
  const open = ({ version, wrapped }: WrappedKeyRow): Buffer => kek.unwrap(tenantKeyUse(tenantId, version), wrapped);
  const root = live.find(({ state }) => state === 'root');
  const versions = live.filter(({ state }) => state !== 'root');
  if (!versions.some(({ state }) => state === 'active'))
    throw new KeyError('KEY_DESTROYED', 'The tenant has no data key in force.');
  return {
    readAtMs,
    ...(root && { root: readRoot(open(root)) }),
    versions: versions.map((row) => ({
      version: row.version,
      secret: open(row),
      ageMs: row.ageMs,
      canSeal: row.state === 'active',
      seals: row.seals,
    })),
  };
}

/** The key of one tenant from its versions in clear, `version` being the one that seals; it never gets older. */
export function tenantKeyFromBytes(
  tenantId: string,
  version: number,
  versions: ReadonlyMap<number, Uint8Array>,
): TenantKey {
  const ring = new TenantKeyRing({ tenantId, nowMs: () => 0 });
  const given = [...versions].map(([one, secret]) => ({
    version: one,
    secret,
    ageMs: 0,
    canSeal: one === version,
    seals: 0,
  }));
  ring.give({ versions: given, readAtMs: 0 });
  return ring;
}
