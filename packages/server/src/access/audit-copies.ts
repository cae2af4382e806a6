// Copies of audit checkpoints in places that whoever owns the data folder does not own: a folder (another volume, a share) and a
// webhook. A copy only grows. When it counts what our own file does not, the log was cut or put back, and that is an alert.
import { appendFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../egress/backoff.ts';
import type { Webhook } from '../egress/webhook.ts';
import type { AuditLog } from './audit-log.ts';

export interface AuditCopiesOptions {
  auditLog: Pick<AuditLog, 'checkpoints'>;
  /** Where our own checkpoints are. */
  directory: string;
  tenants: () => Promise<string[]>;
  folder?: string;
  webhook?: Pick<Webhook, 'send' | 'place'>;
  alert: (row: { kind: string; about: string; detail: Record<string, unknown>; tenantId?: string }) => Promise<void>;
  nowMs?: () => number;
}

export interface AuditCopies {
  /** Brings every place up to date; a place that failed is left alone for a while. Never throws for a place. */
  copy(): Promise<void>;
}

/** A place may be away for as long as a restart or a lost network takes; then somebody must know. */
export const LATE_MS = 10 * 60_000;
/** Notes in one webhook; what is more comes with the next look, and newer notes cover older ones. */
const MOST_NOTES = 500;
const OWNER_ONLY = 0o600;
/** A share that hangs must not keep the program from looking at the log. */
const WAIT_MS = 12_000;

interface Place {
  name: string;
  backoff: Backoff;
  /** Since when something is being brought there. */
  busySinceMs?: number | undefined;
  bring(tenants: readonly string[]): Promise<void>;
}

export function createAuditCopies(options: AuditCopiesOptions): AuditCopies {
  const { tenants, folder, webhook, alert, nowMs = Date.now } = options;
  const places: Place[] = [];
  if (folder !== undefined)
    places.push({ name: 'folder', backoff: new Backoff(), bring: (all) => toFolder(options, folder, all) });
  if (webhook !== undefined)
    places.push({ name: webhook.place, backoff: new Backoff(), bring: toWebhook(options, webhook) });

  async function tellWhenLate({ name, backoff, busySinceMs }: Place, because: string): Promise<void> {
    const sinceMs = backoff.failingSinceMs ?? busySinceMs ?? nowMs();
    const lateMs = nowMs() - sinceMs;
    if (lateMs < LATE_MS) return;
    await alert({
      kind: 'audit.copy',
      about: `place:${name}`,
      detail: { sinceSeconds: Math.round(lateMs / 1_000), because },
    });
  }

  async function bring(place: Place, all: readonly string[]): Promise<void> {
    const { backoff } = place;
    if (place.busySinceMs !== undefined) return tellWhenLate(place, 'it hangs');
    if (!backoff.isDue(nowMs())) return;
    place.busySinceMs = nowMs();
    try {
      await place.bring(all);
      backoff.succeeded();
    } catch (error) {
      backoff.failed(nowMs());
      await tellWhenLate(place, reasonOf(error));
    } finally {
      place.busySinceMs = undefined;
    }
  }

  return {
    async copy() {
      if (places.length === 0) return;
      const all = await tenants();
      for (const place of places) await Promise.race([bring(place, all), sleep(WAIT_MS, undefined, { ref: false })]);
    },
  };
}

/** Codes only: messages of the system name paths. */
function reasonOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : 'unknown';
}

async function toFolder(options: AuditCopiesOptions, folder: string, all: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const tenantId of all) await copyFile(options, folder, tenantId);
}

async function copyFile(options: AuditCopiesOptions, folder: string, tenantId: string): Promise<void> {
  const { auditLog, directory, alert } = options;
  const [own, copy] = [directory, folder].map((place) => join(place, `${tenantId}.checkpoints`)) as [string, string];
  const [ownBytes, copiedBytes] = await Promise.all([sizeOf(own), sizeOf(copy)]);
  // a copy only grows by what was appended here, so two files of one length are one file; `audit verify` reads both
  if (ownBytes === copiedBytes) return;
  const [mine, theirs] = await Promise.all([textOf(own), textOf(copy)]);
  if (!mine.startsWith(theirs)) {
    const because = 'The copy of the checkpoints holds some that are not here: the log was cut or put back.';
    return alert({ kind: 'audit.gap', about: `copy:${tenantId}`, detail: { because }, tenantId });
  }
  if (theirs === '') {
    const { publicKey } = await auditLog.checkpoints(tenantId);
    await writeFile(join(folder, 'public-key.pem'), publicKey, { mode: 0o644 });
  }
  await appendFile(copy, mine.slice(theirs.length), { mode: OWNER_ONLY, flush: true });
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return 0;
      throw error;
    },
  );
}

async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
}

/**
 * Sends the newest checkpoint of each tenant that grew since it was last taken. What waits is one note per tenant, however long the
 * receiver is away. After a start each tenant's newest one is sent again.
 */
function toWebhook(
  { auditLog }: AuditCopiesOptions,
  webhook: Pick<Webhook, 'send'>,
): (all: readonly string[]) => Promise<void> {
  const taken = new Map<string, string>();
  return async (all) => {
    const waiting: Array<{ tenantId: string; note: string }> = [];
    let publicKey = '';
    for (const tenantId of all) {
      const { notes, publicKey: pem } = await auditLog.checkpoints(tenantId);
      const note = notes.at(-1);
      publicKey = pem;
      if (note !== undefined && taken.get(tenantId) !== note) waiting.push({ tenantId, note });
      if (waiting.length >= MOST_NOTES) break;
    }
    if (waiting.length === 0) return;
    await webhook.send(`checkpoints_${crypto.randomUUID()}`, 'audit.checkpoints', { publicKey, checkpoints: waiting });
    for (const { tenantId, note } of waiting) taken.set(tenantId, note);
  };
}
