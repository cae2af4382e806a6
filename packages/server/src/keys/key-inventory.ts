// Every key that works here, with its dates, and never its material: what a rotation calendar is drawn from.
import type { Database } from '../storage/database.ts';
import {
  listInstallationInventory,
  listTenantInventory,
  type InstallationKeyRow,
  type TenantKeyRow,
} from '../storage/postgres/key-inventory.ts';
import { CERTIFICATE_DAYS } from './certificates.ts';
import { STOP_AFTER_MS } from './tenant-key-ring.ts';
import { ROTATE_AFTER_MS } from './tenant-rotation.ts';

export const KEY_KINDS = [
  'c2pa-root',
  'c2pa-issuing-ca',
  'c2pa-leaf',
  'c2pa-brought',
  'registration',
  'time-stamping',
  'log',
  'token',
  'secret',
  'tenant-data',
  'watermark',
] as const;
export type KeyKind = (typeof KEY_KINDS)[number];

/** next: known, not used. active: signs or seals. due: active past its rotation. verifying: only checks or opens what is old. */
export const KEY_STATES = ['next', 'active', 'due', 'verifying', 'ended', 'revoked'] as const;
export type KeyState = (typeof KEY_STATES)[number];

export interface KeyShown {
  kind: KeyKind;
  /** Unique within its kind: a kid, a version, `name:version`. */
  id: string;
  /** Whose: all tenants share the installation's. */
  owner: 'installation' | 'tenant';
  createdAt: Date;
  /** When the next one takes over by itself; null when that happens by hand only. */
  rotateAt: Date | null;
  /** After it the key does nothing new; null when nothing ends it. */
  endsAt: Date | null;
  revokedAt: Date | null;
  state: KeyState;
}

export interface KeyInventory {
  /** The installation's keys and the tenant's own, by kind, the newest first. */
  list(tenantId: string): Promise<KeyShown[]>;
}

export interface KeyInventoryOptions {
  database: Database;
  /** The operator's own certificate or remote key, when there is one. */
  brought?: () => Promise<KeyShown | null>;
  nowMs?: () => number;
}

export function createKeyInventory({ database, brought, nowMs = Date.now }: KeyInventoryOptions): KeyInventory {
  return {
    async list(tenantId) {
      const installation = await database.inSystem(listInstallationInventory);
      const tenant = await database.inTenant(tenantId, (sql) => listTenantInventory(sql, tenantId));
      const own = await brought?.();
      const shown = installation.map((row) => ofInstallation(row, installation, own != null, nowMs()));
      return [...(own ? [own] : []), ...shown, ...tenant.map((row) => ofTenant(row, nowMs()))];
    },
  };
}

const DAY_MS = 86_400_000;
const KIND: Readonly<Record<InstallationKeyRow['kind'], KeyKind>> = {
  root: 'c2pa-root',
  'issuing-ca': 'c2pa-issuing-ca',
  leaf: 'c2pa-leaf',
  registration: 'registration',
  'time-stamping': 'time-stamping',
  log: 'log',
  token: 'token',
  secret: 'secret',
};

// the same rules by which photo-credentials.ts renews
function rotateAt({ kind, createdAt, endsAt }: InstallationKeyRow): Date | null {
  if (kind === 'leaf') return new Date(createdAt.getTime() + CERTIFICATE_DAYS.rotateLeafAfter * DAY_MS);
  if (kind === 'issuing-ca' && endsAt !== null)
    return new Date(endsAt.getTime() - (CERTIFICATE_DAYS.leaf + 1) * DAY_MS);
  return null;
}

function ofInstallation(
  row: InstallationKeyRow,
  all: readonly InstallationKeyRow[],
  isReplaced: boolean,
  nowMs: number,
): KeyShown {
  const { kind, id, createdAt, endsAt, revokedAt } = row;
  const at = rotateAt(row);
  const isCertificate = kind === 'leaf' || kind === 'issuing-ca';
  const isNewest = row === newestLike(row, all) && !(isCertificate && isReplaced);
  const state = TOKEN_STATE[row.state ?? ''] ?? stateOf({ endsAt, revokedAt, rotateAt: at, isNewest, nowMs });
  return {
    kind: KIND[kind],
    id,
    owner: 'installation',
    createdAt,
    rotateAt: state === 'active' || state === 'due' ? at : null,
    endsAt,
    revokedAt,
    state,
  };
}

const TOKEN_STATE: Readonly<Record<string, KeyState>> = {
  next: 'next',
  active: 'active',
  retiring: 'verifying',
  retired: 'ended',
  compromised: 'revoked',
};

interface Dates {
  endsAt: Date | null;
  revokedAt: Date | null;
  rotateAt: Date | null;
  isNewest: boolean;
  nowMs: number;
}

/** What the dates of a key say. */
export function stateOf({ endsAt, revokedAt, rotateAt: at, isNewest, nowMs }: Dates): KeyState {
  if (revokedAt !== null) return 'revoked';
  if (endsAt !== null && endsAt.getTime() <= nowMs) return 'ended';
  if (!isNewest) return 'verifying';
  return at !== null && at.getTime() <= nowMs ? 'due' : 'active';
}

const nameOf = ({ id }: InstallationKeyRow): string => id.slice(0, id.lastIndexOf(':'));
const versionOf = ({ id }: InstallationKeyRow): number => Number(id.slice(id.lastIndexOf(':') + 1));

// rows come newest first; versions of one secret share the name before the colon
function newestLike(row: InstallationKeyRow, all: readonly InstallationKeyRow[]): InstallationKeyRow | undefined {
  const alike = all.filter(({ kind, revokedAt }) => kind === row.kind && revokedAt === null);
  if (row.kind !== 'secret') return alike[0];
  return alike.filter((one) => nameOf(one) === nameOf(row)).sort((a, b) => versionOf(b) - versionOf(a))[0];
}

const TENANT_STATE: Readonly<Record<TenantKeyRow['state'], KeyState>> = {
  coming: 'next',
  active: 'active',
  decrypt_only: 'verifying',
  reading: 'verifying',
  // of watermarks: reads no more
  retired: 'ended',
  destroyed: 'ended',
  // what is derived stands on it; it seals nothing and stays as long as the tenant
  root: 'active',
};

function ofTenant({ kind, version, createdAt, endsAt, state: stored }: TenantKeyRow, nowMs: number): KeyShown {
  const seals = kind === 'tenant-data' && (stored === 'active' || stored === 'coming');
  const at = seals ? new Date(createdAt.getTime() + ROTATE_AFTER_MS) : null;
  const state = TENANT_STATE[stored];
  return {
    kind,
    id: stored === 'root' ? 'root' : String(version),
    owner: 'tenant',
    createdAt,
    rotateAt: at,
    endsAt: seals ? new Date(createdAt.getTime() + STOP_AFTER_MS) : endsAt,
    revokedAt: null,
    state: state === 'active' && at !== null && at.getTime() <= nowMs ? 'due' : state,
  };
}
