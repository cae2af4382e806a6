// Sessions of people: a cookie of 256 random bits, of which only the HMAC is kept; idle and absolute expiry.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { audit } from './audit.ts';
import type { InstallationKey, SecretReader } from '../keys/installation-keys.ts';
import type { Database, Sql } from '../storage/database.ts';
import { actAsAccount } from '../storage/postgres/accounts.ts';
import {
  deleteDeadSessions,
  deleteOtherSessions,
  deleteSession,
  findSession,
  insertSession,
  listSessions,
  lockSessionsOf,
  touchSession,
} from '../storage/postgres/sessions.ts';
import { ROLES, type Principal, type Role } from './principal.ts';
import { Refusal } from './refusal.ts';
import { ROLE_SCOPES } from './roles.ts';

/** Without a request for this long a session ends (OWASP ASVS 5.0, V7.3.1). */
export const SESSION_IDLE_MS = 12 * 3_600_000;
/** Whatever happens, a session ends after this long; refreshing does not move it (V7.3.2). */
export const SESSION_LIFE_MS = 7 * 24 * 3_600_000;
/** The idle clock is written at most this often. */
const TOUCH_EVERY_MS = 60_000;
const COOKIE_BYTES = 32;
const COOKIE_TEXT = /^[A-Za-z0-9_-]{43}$/;

export interface User {
  id: string;
  email: string;
  name: string;
  role: Role;
  tenantId: string;
}

export interface OpenedSession {
  /** For the cookie; never stored, never logged. */
  secret: string;
  expiresAt: Date;
}

export interface Sessions {
  /** In a tenant transaction of the caller. `expiresAt` is given when an old session is exchanged for a new one. */
  openIn(
    sql: Sql,
    person: { tenantId: string; accountId: string; device: string | null; providerId?: string | null | undefined },
    expiresAt?: Date,
  ): Promise<OpenedSession>;
  /** @throws Refusal AUTH_INVALID, AUTH_EXPIRED; UNAVAILABLE when the database does not answer. */
  authenticate(secret: string): Promise<{ principal: Principal; user: User }>;
  /** @returns whether it was still open */
  closeIn(sql: Sql, principal: Principal): Promise<boolean>;
  /** The person's own sessions that still run, in every tenant, the last used first; at most 100. */
  list(principal: Principal): Promise<OwnSession[]>;
  /** Ends one of them; twice is once. @throws Refusal NOT_FOUND for an id that is none of the person's own */
  revoke(principal: Principal, id: string, requestId: string): Promise<void>;
  /** Ends all of them but the one that asks. @returns how many there were */
  revokeOthers(principal: Principal, requestId: string): Promise<number>;
}

/** What a person sees of a session of theirs. Dates are ISO 8601. */
export interface OwnSession {
  /** Names the row to its owner; it is neither the cookie nor its hash. */
  id: string;
  tenantId: string;
  device: string | null;
  createdAt: string;
  lastSeenAt: string;
  expiresAt: string;
  isCurrent: boolean;
}

export interface SessionsOptions {
  database: Database;
  secrets: SecretReader;
  nowMs: () => number;
}

export function createSessions({ database, secrets, nowMs }: SessionsOptions): Sessions {
  const running = async (sql: Sql, principal: Principal): ReturnType<typeof listSessions> => {
    const now = nowMs();
    const { accountId } = ownerOf(principal);
    const tenantId = await reach(sql, principal);
    const idleSince = new Date(now - SESSION_IDLE_MS);
    return listSessions(sql, { tenantId, accountId, now: new Date(now), idleSince, limit: MAX_LISTED });
  };
  /** No session is older than its longest life, and so no older key made one. */
  async function found(secret: string): ReturnType<typeof findSession> {
    for (const key of await secrets.candidates('session', SESSION_LIFE_MS)) {
      const sessionHash = hashOf(key, secret);
      const row = await database.inLookup(sessionHash, (sql) => findSession(sql, sessionHash));
      if (row !== undefined) return row;
    }
    return undefined;
  }

  return {
    async openIn(sql, { tenantId, accountId, device, providerId = null }, expiresAt) {
      const now = nowMs();
      const secret = randomBytes(COOKIE_BYTES).toString('base64url');
      const until = expiresAt ?? new Date(now + SESSION_LIFE_MS);
      await deleteDeadSessions(sql, tenantId, {
        expiredBefore: new Date(now),
        idleSince: new Date(now - SESSION_IDLE_MS),
      });
      await insertSession(sql, {
        tenantId,
        sessionHash: hashOf(await secrets.secret('session'), secret),
        accountId,
        createdAt: new Date(now),
        lastSeenAt: new Date(now),
        expiresAt: until,
        device,
        providerId,
      });
      return { secret, expiresAt: until };
    },

    async authenticate(secret) {
      if (!COOKIE_TEXT.test(secret)) throw invalid();
      const row = await found(secret);
      if (row === undefined || !isRole(row.role)) throw invalid();
      const now = nowMs();
      if (row.expiresAt.getTime() <= now || row.lastSeenAt.getTime() + SESSION_IDLE_MS <= now) {
        throw new Refusal('AUTH_EXPIRED', 'The session has expired.', { action: 'Log in again.' });
      }
      const { tenantId, accountId, sessionHash } = row;
      if (now - row.lastSeenAt.getTime() >= TOUCH_EVERY_MS) {
        await database.inTenant(tenantId, (sql) => touchSession(sql, { tenantId, sessionHash, seenAt: new Date(now) }));
      }
      return {
        principal: {
          kind: 'person',
          tenantId,
          subject: `account:${accountId}`,
          scopes: ROLE_SCOPES[row.role],
          accountId,
          role: row.role,
          mustChangePassword: row.mustChangePassword,
          sessionId: sessionHash,
          sessionExpiresAt: row.expiresAt,
          ...(row.providerId === null ? {} : { providerId: row.providerId }),
        },
        user: { id: accountId, email: row.email, name: row.name, role: row.role, tenantId },
      };
    },

    async list(principal) {
      const rows = await database.inTenant(principal.tenantId, (sql) => running(sql, principal));
      return rows.map((row) => ({
        id: publicId(row.sessionHash),
        tenantId: row.tenantId,
        device: row.device,
        createdAt: row.createdAt.toISOString(),
        lastSeenAt: row.lastSeenAt.toISOString(),
        expiresAt: row.expiresAt.toISOString(),
        isCurrent: row.sessionHash === principal.sessionId,
      }));
    },

    revoke(principal, id, requestId) {
      const { tenantId, accountId } = ownerOf(principal);
      return database.inTenant(tenantId, async (sql) => {
        await lockSessionsOf(sql, accountId);
        const row = (await running(sql, principal)).find(({ sessionHash }) => publicId(sessionHash) === id);
        if (row === undefined) throw new Refusal('NOT_FOUND', 'There is no such session of yours, or it has ended.');
        await deleteSession(sql, row.tenantId, row.sessionHash);
        await noteRevoked(sql, principal, requestId, { sessions: 1 });
      });
    },

    revokeOthers(principal, requestId) {
      const { tenantId, accountId, sessionId } = ownerOf(principal);
      return database.inTenant(tenantId, async (sql) => {
        await lockSessionsOf(sql, accountId);
        const reached = await reach(sql, principal);
        const count = await deleteOtherSessions(sql, { tenantId: reached, accountId, kept: sessionId });
        await noteRevoked(sql, principal, requestId, { sessions: count });
        return count;
      });
    },

    async closeIn(sql, { tenantId, sessionId }) {
      return sessionId !== undefined && (await deleteSession(sql, tenantId, sessionId));
    },
  };
}

const hashOf = (key: InstallationKey, secret: string): string =>
  createHmac('sha256', key.secret).update(secret).digest('hex');

const MAX_LISTED = 100;

/** Acts as the person from here on: null, sessions in every tenant; for whom a tenant's provider vouched those in it alone. */
async function reach(sql: Sql, { tenantId, accountId, providerId }: Principal): Promise<string | null> {
  if (providerId !== undefined || accountId === undefined) return tenantId;
  await actAsAccount(sql, accountId);
  return null;
}

const publicId = (sessionHash: string): string => createHash('sha256').update(sessionHash).digest('hex').slice(0, 32);

function ownerOf({ tenantId, accountId, sessionId }: Principal): {
  tenantId: string;
  accountId: string;
  sessionId: string;
} {
  if (accountId === undefined || sessionId === undefined)
    throw new Refusal('FORBIDDEN', 'Only a person who is logged in may do this.');
  return { tenantId, accountId, sessionId };
}

function noteRevoked(sql: Sql, { tenantId, subject }: Principal, requestId: string, detail: object): Promise<void> {
  return audit(sql, {
    tenantId,
    actor: subject,
    action: 'session.revoke',
    object: subject,
    outcome: 'done',
    requestId,
    detail: { ...detail },
  });
}

function invalid(): Refusal {
  return new Refusal('AUTH_INVALID', 'The session is not known, or it has ended.', { action: 'Log in again.' });
}

function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}
