// Sessions of people: a cookie of 256 random bits, of which only the HMAC is kept; idle and absolute expiry.
import { createHmac, randomBytes } from 'node:crypto';
import type { InstallationKey } from '../keys/installation-keys.ts';
import type { Database, Sql } from '../storage/database.ts';
import {
  deleteDeadSessions,
  deleteSession,
  findSession,
  insertSession,
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
  openIn(sql: Sql, person: { tenantId: string; accountId: string }, expiresAt?: Date): Promise<OpenedSession>;
  /** @throws Refusal AUTH_INVALID, AUTH_EXPIRED; UNAVAILABLE when the database does not answer. */
  authenticate(secret: string): Promise<{ principal: Principal; user: User }>;
  closeIn(sql: Sql, principal: Principal): Promise<void>;
}

export interface SessionsOptions {
  database: Database;
  key: InstallationKey;
  nowMs: () => number;
}

export function createSessions({ database, key, nowMs }: SessionsOptions): Sessions {
  const hashOf = (secret: string): string => createHmac('sha256', key.secret).update(secret).digest('hex');

  return {
    async openIn(sql, { tenantId, accountId }, expiresAt) {
      const now = nowMs();
      const secret = randomBytes(COOKIE_BYTES).toString('base64url');
      const until = expiresAt ?? new Date(now + SESSION_LIFE_MS);
      await deleteDeadSessions(sql, tenantId, {
        expiredBefore: new Date(now),
        idleSince: new Date(now - SESSION_IDLE_MS),
      });
      await insertSession(sql, {
        tenantId,
        sessionHash: hashOf(secret),
        accountId,
        createdAt: new Date(now),
        lastSeenAt: new Date(now),
        expiresAt: until,
      });
      return { secret, expiresAt: until };
    },

    async authenticate(secret) {
      if (!COOKIE_TEXT.test(secret)) throw invalid();
      const sessionHash = hashOf(secret);
      const row = await database.inLookup(sessionHash, (sql) => findSession(sql, sessionHash));
      if (row === undefined || !isRole(row.role)) throw invalid();
      const now = nowMs();
      if (row.expiresAt.getTime() <= now || row.lastSeenAt.getTime() + SESSION_IDLE_MS <= now) {
        throw new Refusal('AUTH_EXPIRED', 'The session has expired.', { action: 'Log in again.' });
      }
      const { tenantId, accountId } = row;
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
        },
        user: { id: accountId, email: row.email, name: row.name, role: row.role, tenantId },
      };
    },

    async closeIn(sql, { tenantId, sessionId }) {
      if (sessionId !== undefined) await deleteSession(sql, tenantId, sessionId);
    },
  };
}

function invalid(): Refusal {
  return new Refusal('AUTH_INVALID', 'The session is not known, or it has ended.', { action: 'Log in again.' });
}

function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}
