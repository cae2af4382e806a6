// API keys: made and shown once, found by a peppered hash, refused within seconds of being revoked.
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import type { InstallationKey, SecretReader } from '../keys/installation-keys.ts';
import type { Database, Sql } from '../storage/database.ts';
import {
  countLiveApiKeys,
  findApiKey,
  insertApiKey,
  listApiKeys,
  lockApiKey,
  rehashApiKey,
  replaceApiKey,
  revokeApiKey,
  touchApiKey,
  type ApiKeyRow,
} from '../storage/postgres/api-keys.ts';
import { environmentOf, isWellFormedApiKey, newApiKey, shownPrefix, type KeyEnvironment } from './api-key-text.ts';
import { audit } from './audit.ts';
import type { Principal, Scope } from './principal.ts';
import { Refusal } from './refusal.ts';
import { Remembered } from './remembered.ts';
import { refuseForeignScopes, scopesOf } from './roles.ts';

/** A revoked key works at most this much longer in another process; in this one it stops at once. */
const MAX_AGE_MS = 3_000;
const MAX_REMEMBERED = 10_000;
/** `lastUsedAt` is this coarse, so that a busy key does not write on every request. */
const LAST_USED_EVERY_MS = 10 * 60_000;
const MAX_LIVE_KEYS = 500;

export interface ApiKeyShown {
  keyId: string;
  name: string;
  prefix: string;
  scopes: Scope[];
  createdAt: Date;
  createdBy: string;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
  /** Made in its place by a rotation. */
  replacedBy: string | null;
}

export interface NewApiKey {
  name: string;
  scopes: readonly Scope[];
  environment: KeyEnvironment;
  expiresAt: Date | null;
}

export interface ApiKeys {
  /** @throws Refusal AUTH_INVALID, AUTH_EXPIRED, or UNAVAILABLE when the database does not answer. */
  authenticate(key: string): Promise<Principal>;
  list(tenantId: string): Promise<ApiKeyShown[]>;
  /** The key itself is in this answer and nowhere else. @throws Refusal FORBIDDEN, VALIDATION_FAILED, CONFLICT. */
  create(by: Principal, requestId: string, wanted: NewApiKey): Promise<ApiKeyShown & { apiKey: string }>;
  /** In a tenant transaction of the caller: the row of a key that was drawn elsewhere (the first start). */
  recordIn(
    sql: Sql,
    tenantId: string,
    by: string,
    apiKey: string,
    wanted: Omit<NewApiKey, 'environment'>,
  ): Promise<ApiKeyShown>;
  /**
   * A new key of the same name, scopes and environment beside the old one, which ends after `overlapMs`, everywhere within
   * seconds of that. What had an end gets as long again. @throws Refusal NOT_FOUND; FORBIDDEN for scopes that the caller does
   * not hold; CONFLICT for a key that was replaced, was revoked, or has ended
   */
  rotate(
    by: Principal,
    requestId: string,
    keyId: string,
    overlapMs: number,
  ): Promise<ApiKeyShown & { apiKey: string; previousEndsAt: Date }>;
  /** @throws Refusal NOT_FOUND. Revoking twice is revoking once. */
  revoke(by: Principal, requestId: string, keyId: string): Promise<void>;
}

export interface ApiKeysOptions {
  database: Database;
  secrets: SecretReader;
  nowMs: () => number;
  /** Told of failures to note the last use; they refuse nobody. */
  onError: (error: unknown) => void;
}

const UNKNOWN = 'The API key is not known, or it was revoked.';

export function createApiKeys({ database, secrets, nowMs, onError }: ApiKeysOptions): ApiKeys {
  const remembered = new Remembered<ApiKeyRow | undefined>({
    maxAgeMs: MAX_AGE_MS,
    maxEntries: MAX_REMEMBERED,
    nowMs,
    keep: (row) => row !== undefined,
  });
  const notedAtMs = new Map<string, number>();
  const rehashing = new Set<string>();

  /** Under the pepper in use from now on: what is used moves over, one at a time. */
  function rehash(row: ApiKeyRow, pepper: InstallationKey, key: string): void {
    const { tenantId, keyId, keyHash, pepperVersion } = row;
    if (pepperVersion >= pepper.version || rehashing.has(keyId)) return;
    rehashing.add(keyId);
    const fresh = { keyHash: hashOf(pepper, key), pepperVersion: pepper.version };
    database
      .inTenant(tenantId, (sql) => rehashApiKey(sql, { tenantId, keyId, before: keyHash, ...fresh }))
      // under its old hash a revocation would not find it here
      .then(() => remembered.forget(keyHash), onError)
      .finally(() => rehashing.delete(keyId));
  }

  function noteUse(row: ApiKeyRow): void {
    const now = nowMs();
    const noted = Math.max(notedAtMs.get(row.keyId) ?? 0, row.lastUsedAt?.getTime() ?? 0);
    if (now - noted < LAST_USED_EVERY_MS) return;
    if (notedAtMs.size >= MAX_REMEMBERED) notedAtMs.clear();
    notedAtMs.set(row.keyId, now);
    const { tenantId, keyId } = row;
    database.inTenant(tenantId, (sql) => touchApiKey(sql, { tenantId, keyId, at: new Date(now) })).catch(onError);
  }

  async function found(peppers: readonly InstallationKey[], key: string): Promise<ApiKeyRow | undefined> {
    for (const pepper of peppers) {
      const keyHash = hashOf(pepper, key);
      const row = await remembered.recall(keyHash, () => database.inLookup(keyHash, (sql) => findApiKey(sql, keyHash)));
      if (row !== undefined && isSameHash(row.keyHash, keyHash)) return row;
    }
    return undefined;
  }

  async function recordIn(
    sql: Sql,
    tenantId: string,
    createdBy: string,
    apiKey: string,
    wanted: Omit<NewApiKey, 'environment'>,
  ): Promise<ApiKeyShown> {
    const pepper = await secrets.secret('api-key-pepper');
    const row = {
      tenantId,
      keyId: randomUUID(),
      name: wanted.name,
      prefix: shownPrefix(apiKey),
      keyHash: hashOf(pepper, apiKey),
      pepperVersion: pepper.version,
      scopes: [...new Set(wanted.scopes)],
      createdAt: new Date(nowMs()),
      createdBy,
      expiresAt: wanted.expiresAt,
    };
    await insertApiKey(sql, row);
    return shown({ ...row, revokedAt: null, lastUsedAt: null, replacedBy: null });
  }

  async function refuseMore(sql: Sql, tenantId: string): Promise<void> {
    if ((await countLiveApiKeys(sql, tenantId, new Date(nowMs()))) < MAX_LIVE_KEYS) return;
    throw new Refusal('CONFLICT', `The tenant has ${MAX_LIVE_KEYS} keys that work: revoke some first.`);
  }

  return {
    async authenticate(key) {
      if (!isWellFormedApiKey(key)) throw new Refusal('AUTH_INVALID', UNKNOWN);
      const peppers = await secrets.candidates('api-key-pepper');
      const row = await found(peppers, key);
      if (row === undefined || row.revokedAt !== null) throw new Refusal('AUTH_INVALID', UNKNOWN);
      if (row.expiresAt !== null && row.expiresAt.getTime() <= nowMs()) {
        throw new Refusal('AUTH_EXPIRED', 'The API key has expired.');
      }
      noteUse(row);
      if (peppers[0] !== undefined) rehash(row, peppers[0], key);
      return {
        kind: 'apiKey',
        tenantId: row.tenantId,
        subject: `key:${row.keyId}`,
        scopes: scopesOf(row.scopes),
      };
    },

    async list(tenantId) {
      const rows = await database.inTenant(tenantId, (sql) => listApiKeys(sql, tenantId));
      return rows.map(shown);
    },

    recordIn,

    create(by, requestId, wanted) {
      refuseForeignScopes(by, wanted.scopes);
      if (wanted.expiresAt !== null && wanted.expiresAt.getTime() <= nowMs()) {
        throw new Refusal('VALIDATION_FAILED', 'Expected "expiresAt" in the future.');
      }
      return database.inTenant(by.tenantId, async (sql) => {
        await refuseMore(sql, by.tenantId);
        const apiKey = newApiKey(wanted.environment);
        const key = await recordIn(sql, by.tenantId, by.subject, apiKey, wanted);
        await audit(sql, {
          tenantId: by.tenantId,
          actor: by.subject,
          action: 'key.create',
          object: `key:${key.keyId}`,
          outcome: 'done',
          requestId,
          detail: { name: key.name, scopes: key.scopes, expiresAt: key.expiresAt },
        });
        return { ...key, apiKey };
      });
    },

    async rotate(by, requestId, keyId, overlapMs) {
      const { tenantId } = by;
      const { keyHash, ...rotated } = await database.inTenant(tenantId, async (sql) => {
        const now = nowMs();
        const old = await lockApiKey(sql, { tenantId, keyId });
        if (old === undefined) throw new Refusal('NOT_FOUND', 'There is no API key with this id.');
        const endMs = old.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
        if (old.replacedBy !== null || old.revokedAt !== null || endMs <= now)
          throw new Refusal('CONFLICT', 'This key was replaced or revoked, or it has ended: make a new one.');
        const scopes = [...scopesOf(old.scopes)];
        refuseForeignScopes(by, scopes);
        await refuseMore(sql, tenantId);
        const lifeMs = endMs - old.createdAt.getTime();
        const apiKey = newApiKey(environmentOf(old.prefix));
        const key = await recordIn(sql, tenantId, by.subject, apiKey, {
          name: old.name,
          scopes,
          expiresAt: Number.isFinite(lifeMs) ? new Date(now + lifeMs) : null,
        });
        const previousEndsAt = new Date(Math.min(endMs, now + overlapMs));
        await replaceApiKey(sql, { tenantId, keyId, endsAt: previousEndsAt, replacedBy: key.keyId });
        await audit(sql, {
          tenantId,
          actor: by.subject,
          action: 'key.rotate',
          object: `key:${keyId}`,
          outcome: 'done',
          requestId,
          detail: { name: old.name, replacedBy: key.keyId, previousEndsAt },
        });
        return { ...key, apiKey, previousEndsAt, keyHash: old.keyHash };
      });
      // what is remembered knows nothing of the new end
      remembered.forget(keyHash);
      return rotated;
    },

    async revoke(by, requestId, keyId) {
      const at = new Date(nowMs());
      const keyHash = await database.inTenant(by.tenantId, async (sql) => {
        const revoked = await revokeApiKey(sql, { tenantId: by.tenantId, keyId, at });
        if (revoked === undefined) throw new Refusal('NOT_FOUND', 'There is no API key with this id.');
        await audit(sql, {
          tenantId: by.tenantId,
          actor: by.subject,
          action: 'key.revoke',
          object: `key:${keyId}`,
          outcome: 'done',
          requestId,
          detail: { name: revoked.name },
        });
        return revoked.keyHash;
      });
      remembered.forget(keyHash);
    },
  };
}

const hashOf = (pepper: InstallationKey, key: string): string =>
  createHmac('sha256', pepper.secret).update(key).digest('hex');

function isSameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function shown(row: ApiKeyRow): ApiKeyShown {
  return {
    keyId: row.keyId,
    name: row.name,
    prefix: row.prefix,
    scopes: [...scopesOf(row.scopes)],
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    expiresAt: row.expiresAt,
    lastUsedAt: row.lastUsedAt,
    revokedAt: row.revokedAt,
    replacedBy: row.replacedBy,
  };
}
