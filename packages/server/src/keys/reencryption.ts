// Sealing again what an old version of a tenant's data key sealed: in small batches beside the requests, from where the last
// batch ended, until the old version has nothing left to open and can be destroyed.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Sql } from '../storage/database.ts';
import {
  lockSealed,
  movePass,
  readPage,
  readPass,
  startPass,
  writeSealed,
  type Pass,
} from '../storage/postgres/reencryption.ts';
import { oldTenantKeys, type OldKeys } from '../storage/postgres/tenant-rotation.ts';
import { SEALED_PLACES, type SealedPlace } from '../storage/sealed.ts';
import { TRUSTED_FOR_MS } from './tenant-key-ring.ts';
import { SETTLED_MS } from './tenant-keys.ts';
import type { TenantKeys } from './tenant-key.ts';

/**
 * The pass that decides begins so long after the old version seals no more: a process that was stopped meanwhile refuses to
 * seal after TRUSTED_FOR_MS, and its transactions end within their time limit.
 */
export const QUIET_MS = 4 * TRUSTED_FOR_MS;

/** A third of one connection's time. Chosen by reencryption.bench.ts. */
const REST_FACTOR = 2;

export interface ReencryptionOptions {
  database: Database;
  tenantKeys: TenantKeys;
  quietMs?: number;
  /** How long a reader may hold bytes that it read before they were sealed again. */
  graceMs?: number;
  /** Rests so many times as long as each batch took: it is in no hurry, requests are. */
  restFactor?: number;
}

/** done: the old versions seal nothing any more. later: what is left needs time. stopped: by `signal`. */
export type ReencryptionState = 'nothing' | 'done' | 'later' | 'stopped';

export interface Reencryption {
  /** Goes on where it ended. Twice at once is harmless: a place is gone through by one at a time. */
  work(tenantId: string, signal: AbortSignal): Promise<{ state: ReencryptionState; keys?: OldKeys }>;
}

export function createReencryption(options: ReencryptionOptions): Reencryption {
  return {
    async work(tenantId, signal) {
      const keys = await options.database.inTenant(tenantId, (sql) => oldTenantKeys(sql, tenantId));
      if (keys === undefined) return { state: 'nothing' };
      let isDone = true;
      for (const place of SEALED_PLACES) {
        const state = await sealPlace(options, tenantId, place, keys, signal);
        if (state === 'stopped') return { state, keys };
        if (state === 'later') isDone = false;
      }
      return { state: isDone ? 'done' : 'later', keys };
    },
  };
}

async function sealPlace(
  { database, tenantKeys, quietMs = QUIET_MS, graceMs = SETTLED_MS, restFactor = REST_FACTOR }: ReencryptionOptions,
  tenantId: string,
  place: SealedPlace,
  keys: OldKeys,
  signal: AbortSignal,
): Promise<ReencryptionState> {
  // a pass that began after this age of it decides
  const decidesWithinMs = keys.supersededForMs - quietMs;
  const beganMs = performance.now();
  for (let hasRestarted = false; ;) {
    if (signal.aborted) return 'stopped';
    const key = await tenantKeys.forTenant(tenantId);
    // told by a reader that has not read the new version yet
    if (key.version !== keys.target) return 'later';
    const batchBeganMs = performance.now();
    const state = await database.inTenant(tenantId, async (sql) => {
      const pass = await readPass(sql, tenantId, place);
      const next = nextOf(pass, keys.target, decidesWithinMs + performance.now() - beganMs, graceMs);
      if (next === 'start') {
        await startPass(sql, tenantId, place, keys.target);
        return 'started';
      }
      if (next !== 'go on') return next;
      await sealBatch(sql, tenantId, place, keys.target, pass?.after ?? null, key);
      return 'moved';
    });
    if (state === 'done' || state === 'later') return state;
    // rows that others hold again and again are left to the next time
    if (state === 'started' && hasRestarted) return 'later';
    if (state === 'started') hasRestarted = true;
    const restMs = restFactor * (performance.now() - batchBeganMs);
    await sleep(restMs, undefined, { signal }).catch(() => undefined);
  }
}

type Next = 'start' | 'go on' | 'done' | 'later';

function nextOf(pass: Pass | undefined, target: number, decidesWithinMs: number, graceMs: number): Next {
  if (pass === undefined || pass.version !== target) return 'start';
  if (!pass.isDone) return 'go on';
  const decides = pass.startedForMs <= decidesWithinMs;
  if (!decides || pass.rowsLeft > 0) return decidesWithinMs >= 0 ? 'start' : 'later';
  return (pass.doneForMs ?? 0) >= graceMs ? 'done' : 'later';
}

async function sealBatch(
  sql: Sql,
  tenantId: string,
  place: SealedPlace,
  target: number,
  after: readonly string[] | null,
  key: Awaited<ReturnType<TenantKeys['forTenant']>>,
): Promise<void> {
  const page = await readPage(sql, tenantId, place, target, after);
  const locked = page.old.length === 0 ? [] : await lockSealed(sql, tenantId, place, page.old);
  const names = Object.keys(place.key);
  const resealed = locked.map(({ key: values, sealed }) => {
    const aad = place.aad(Object.fromEntries(names.map((name, i) => [name, values[i] as string])));
    return { key: values, sealed: key.seal(place.purpose, aad, key.open(place.purpose, aad, sealed)) };
  });
  if (resealed.length > 0) await writeSealed(sql, tenantId, place, resealed);
  // rows that went meanwhile count as left too: the next pass does not find them
  const left = page.old.length - locked.length;
  await movePass(sql, tenantId, place, { last: page.last, seen: page.seen, sealed: locked.length, left });
}
