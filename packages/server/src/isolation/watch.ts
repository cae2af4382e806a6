// Looks for what an intruder leaves behind: bursts of failed logins, of ids that are not there, of exports; holes in the
// catalogue; an audit chain that does not hold. Each becomes a row and a line of the log.
import type { AuditLog } from '../access/audit-log.ts';
import type { Database } from '../storage/database.ts';
import { alertsOfTenant, insertAlert, type AlertRow, type StoredAlert } from '../storage/postgres/audit-alerts.ts';
import type { Teller } from './tell.ts';
import { findBreaches } from './invariants.ts';

/**
 * How many in how long are a burst. Chosen above what people and programs do by mistake: ten wrong passwords from one
 * source in a minute, thirty ids that are not there (a list that went stale asks for a handful), 100,000 exported lines.
 */
export const BURSTS = {
  'login.failures': { most: 10, windowMs: 60_000 },
  'foreign.ids': { most: 30, windowMs: 60_000 },
  'export.lines': { most: 100_000, windowMs: 60_000 },
  'export.requests': { most: 10, windowMs: 60_000 },
} as const satisfies Record<string, { most: number; windowMs: number }>;
export type Burst = keyof typeof BURSTS;

export interface WatchOptions {
  database: Database;
  auditLog: Pick<AuditLog, 'checkpoint' | 'gaps' | 'faults'>;
  /** Told of each alert, once in an hour for each kind and subject. */
  onAlert: (alert: AlertRow) => void;
  onError: (error: unknown) => void;
  /** Tells the operator elsewhere, where somebody is to be told. */
  teller?: Teller;
  /** Brings new checkpoints to where they are kept besides. */
  keepElsewhere?: () => Promise<void>;
  nowMs?: () => number;
}

export interface Watch {
  /** Counts something of `about`; never throws and never waits, since it stands in the way of requests. */
  count(kind: Burst, about: string, n?: number, tenantId?: string): void;
  /** What somebody else noticed. */
  alert(row: AlertRow): Promise<void>;
  /** The newest alerts that are a tenant's to see; asked of the database once in a few seconds at most. */
  recent(tenantId: string): Promise<StoredAlert[]>;
  /** Every half minute: gaps in the chains, then checkpoints of what grew. */
  look(): Promise<void>;
  /** Every hour: the catalogue, and every line of every chain. */
  inspect(): Promise<void>;
  /** Resolves when the alerts so far are rows. */
  settled(): Promise<void>;
}

/** Subjects that are counted at once; the oldest goes first. A flood of sources cannot fill the memory. */
const MAX_SUBJECTS = 10_000;
const MAX_RECENT = 100;
/** Alerts are the owner's, whose connections are few: a page that is open in many windows must not use them up. */
const RECENT_KEPT_MS = 3_000;
const MAX_TENANTS_KEPT = 1_000;

export function createWatch({
  database,
  auditLog,
  onAlert,
  onError,
  teller,
  keepElsewhere,
  nowMs = Date.now,
}: WatchOptions): Watch {
  const windows = new Map<string, { startedMs: number; n: number }>();
  let writing: Promise<void> = Promise.resolve();

  const alert = async (row: AlertRow): Promise<void> => {
    if (!(await database.inSystem((sql) => insertAlert(sql, row)))) return;
    onAlert(row);
    recents.clear();
    // not waited for: the receiver may take its time, and a row waits for the next look
    void teller?.tell();
  };
  const recents = new Map<string, { untilMs: number; alerts: Promise<StoredAlert[]> }>();

  return {
    alert,
    recent(tenantId) {
      const kept = recents.get(tenantId);
      if (kept !== undefined && kept.untilMs > nowMs()) return kept.alerts;
      const alerts = database.inSystem((sql) => alertsOfTenant(sql, tenantId, MAX_RECENT));
      if (recents.size >= MAX_TENANTS_KEPT) recents.clear();
      recents.set(tenantId, { untilMs: nowMs() + RECENT_KEPT_MS, alerts });
      alerts.catch(() => recents.delete(tenantId));
      return alerts;
    },
    count(kind, about, n = 1, tenantId) {
      const { most, windowMs } = BURSTS[kind];
      const name = `${kind} ${about}`;
      const known = windows.get(name);
      const isOpen = known !== undefined && nowMs() - known.startedMs < windowMs;
      const window = isOpen ? known : { startedMs: nowMs(), n: 0 };
      const before = window.n;
      window.n += n;
      // put last again, so that what is counted stays
      windows.delete(name);
      windows.set(name, window);
      if (windows.size > MAX_SUBJECTS) windows.delete(windows.keys().next().value as string);
      if (before >= most || window.n < most) return;
      const detail = { count: window.n, withinSeconds: windowMs / 1_000 };
      writing = writing.then(() => alert({ kind, about, detail, tenantId })).catch(onError);
    },
    async look() {
      for (const { tenantId, because } of await auditLog.gaps()) {
        await alert({ kind: 'audit.gap', about: `tenant:${tenantId}`, detail: { because }, tenantId });
      }
      await auditLog.checkpoint();
      await keepElsewhere?.();
      void teller?.tell();
    },
    async inspect() {
      for (const { invariant, object } of await database.inSystem((sql) => findBreaches(sql))) {
        await alert({ kind: 'isolation.breach', about: object.slice(0, 300), detail: { invariant } });
      }
      for (const { tenantId, finding } of await auditLog.faults()) {
        await alert({ kind: 'audit.fault', about: `tenant:${tenantId}`, detail: { ...finding }, tenantId });
      }
    },
    settled: () => writing,
  };
}
