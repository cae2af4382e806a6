// Service accounts: made, rotated and disabled; a name and a password against a token of 15 minutes.
import { randomBytes, randomUUID } from 'node:crypto';
import type { Database, Sql } from '../storage/database.ts';
import {
  countServiceAccounts,
  disableServiceAccount,
  findServiceAccount,
  insertServiceAccount,
  listServiceAccounts,
  lockServiceAccount,
  rotateServiceAccount,
  touchServiceAccount,
  type ServiceAccountRow,
} from '../storage/postgres/service-accounts.ts';
import { audit, type AuditLine } from './audit.ts';
import { lookedAt, type Limits, type LoginAttempt } from './limits.ts';
import type { MachineTokens } from './machine-tokens.ts';
import { failedLoginAnswer, newPassword, type Passwords } from './passwords.ts';
import type { Principal, Scope } from './principal.ts';
import { Refusal } from './refusal.ts';
import { refuseForeignScopes, scopesOf } from './roles.ts';

/** `lastUsedAt` is this coarse. */
const LAST_USED_EVERY_MS = 10 * 60_000;
/** Of one tenant, not counting those that are disabled. */
export const MOST_SERVICE_ACCOUNTS = 200;
const USERNAME_BYTES = 10;

export interface ServiceAccountShown {
  serviceAccountId: string;
  username: string;
  /** Absent for the one of the first start. */
  name: string | null;
  scopes: Scope[];
  createdAt: Date;
  createdBy: string | null;
  expiresAt: Date | null;
  disabledAt: Date | null;
  rotatedAt: Date | null;
  lastUsedAt: Date | null;
  /** Until then the password before the last rotation works too. */
  previousUntil: Date | null;
}

export interface NewServiceAccount {
  name: string;
  scopes: readonly Scope[];
  expiresAt: Date | null;
}

export interface Machines {
  /**
   * @param credentials `scopes` narrows the token to these of the account's
   * @throws Refusal AUTH_INVALID, RATE_LIMIT_EXCEEDED, UNAVAILABLE; AUTH_EXPIRED after the account's end; FORBIDDEN for scopes
   * that the account does not hold
   */
  login(
    credentials: { username: string; password: string; scopes?: readonly string[] },
    source: string,
    requestId: string,
  ): Promise<{ token: string; expiresInSeconds: number; scopes: readonly string[] }>;
  /** The newest first, at most 1,000. */
  list(tenantId: string): Promise<ServiceAccountShown[]>;
  /** The password is in this answer and nowhere else. @throws Refusal FORBIDDEN, VALIDATION_FAILED, CONFLICT */
  create(
    by: Principal,
    requestId: string,
    wanted: NewServiceAccount,
  ): Promise<ServiceAccountShown & { password: string }>;
  /**
   * Another password; the one before works for `overlapMs` more. What had an end gets as long again. A second rotation ends the
   * password before the first. @throws Refusal NOT_FOUND; FORBIDDEN for scopes that the caller does not hold; CONFLICT for an
   * account that is disabled or has ended
   */
  rotate(
    by: Principal,
    requestId: string,
    serviceAccountId: string,
    overlapMs: number,
  ): Promise<ServiceAccountShown & { password: string }>;
  /** For good: its tokens stop within seconds everywhere. Twice is once. @throws Refusal NOT_FOUND */
  disable(by: Principal, requestId: string, serviceAccountId: string): Promise<void>;
}

export interface MachinesOptions {
  database: Database;
  tokens: MachineTokens;
  passwords: Passwords;
  limits: Limits;
  nowMs: () => number;
}

export function createMachines({ database, tokens, passwords, limits, nowMs }: MachinesOptions): Machines {
  const now = (): Date => new Date(nowMs());

  /** Also the password before a rotation, while that one works. An unknown name takes as long as a wrong password. */
  async function isRightPassword(account: ServiceAccountRow | undefined, password: string): Promise<boolean> {
    if (await passwords.matches(account?.argon2id, password)) return true;
    const { previousArgon2id, previousUntil } = account ?? {};
    if (!previousArgon2id || !previousUntil || previousUntil <= now()) return false;
    return passwords.matches(previousArgon2id, password);
  }

  return {
    async login({ username, password, scopes }, source, requestId) {
      const attempt: LoginAttempt = { name: username, source };
      await limits.admitLogin(attempt);
      const answerAt = failedLoginAnswer();
      const account = await database.inLookup(username, (sql) => findServiceAccount(sql, username));
      const isRight = await lookedAt(limits, attempt, isRightPassword(account, password));
      const isKnown = isRight && account !== undefined && account.disabledAt === null;
      const isOver = isKnown && account.expiresAt !== null && account.expiresAt.getTime() - nowMs() < 1_000;
      const foreign = (scopes ?? []).filter((scope) => account?.scopes.includes(scope) !== true);
      if (account !== undefined) {
        const { tenantId, serviceAccountId } = account;
        const subject = `service-account:${serviceAccountId}`;
        const isAdmitted = isKnown && !isOver && foreign.length === 0;
        await database.inTenant(tenantId, async (sql) => {
          const outcome = isAdmitted ? 'done' : 'denied';
          await audit(sql, { tenantId, actor: subject, action: 'token.issue', object: subject, outcome, requestId });
          if (!isAdmitted) return;
          const before = new Date(nowMs() - LAST_USED_EVERY_MS);
          await touchServiceAccount(sql, { tenantId, serviceAccountId, at: now(), before });
        });
      }
      if (!isKnown) {
        await answerAt;
        throw new Refusal('AUTH_INVALID', 'The username or the password is not right.', {
          action: 'Check both and try again.',
        });
      }
      await limits.forgiveLogin(attempt);
      if (isOver) throw new Refusal('AUTH_EXPIRED', 'The service account has ended.');
      if (foreign.length > 0)
        throw new Refusal('FORBIDDEN', 'The service account does not hold a scope that was asked for.');
      const granted = scopes ?? account.scopes;
      return { ...(await tokens.issue({ ...account, scopes: granted })), scopes: granted };
    },

    async list(tenantId) {
      const rows = await database.inTenant(tenantId, (sql) => listServiceAccounts(sql, tenantId));
      return rows.map((row) => shown(row, nowMs()));
    },

    async create(by, requestId, wanted) {
      const { tenantId } = by;
      refuseForeignScopes(by, wanted.scopes);
      if (wanted.expiresAt !== null && wanted.expiresAt.getTime() <= nowMs())
        throw new Refusal('VALIDATION_FAILED', 'Expected "expiresAt" in the future.');
      const password = newPassword();
      const row = {
        tenantId,
        serviceAccountId: randomUUID(),
        username: newUsername(),
        name: wanted.name,
        argon2id: await passwords.hash(password),
        scopes: [...new Set(wanted.scopes)],
        createdAt: now(),
        createdBy: by.subject,
        expiresAt: wanted.expiresAt,
      };
      await database.inTenant(tenantId, async (sql) => {
        if ((await countServiceAccounts(sql, tenantId)) >= MOST_SERVICE_ACCOUNTS)
          throw new Refusal('CONFLICT', `A tenant has ${MOST_SERVICE_ACCOUNTS} service accounts: disable some first.`);
        await insertServiceAccount(sql, row);
        const { name, username, scopes, expiresAt } = row;
        await note(sql, by, requestId, 'service-account.create', row, { name, username, scopes, expiresAt });
      });
      const nothingYet = {
        disabledAt: null,
        rotatedAt: null,
        lastUsedAt: null,
        previousArgon2id: null,
        previousUntil: null,
      };
      return { ...shown({ ...row, ...nothingYet }, nowMs()), password };
    },

    async rotate(by, requestId, serviceAccountId, overlapMs) {
      const { tenantId } = by;
      const password = newPassword();
      // before the row is locked: a login of another machine must not wait for this
      const argon2id = await passwords.hash(password);
      return database.inTenant(tenantId, async (sql) => {
        const account = await locked(sql, tenantId, serviceAccountId);
        const at = nowMs();
        const endMs = account.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
        if (account.disabledAt !== null || endMs <= at)
          throw new Refusal('CONFLICT', 'This service account is disabled or has ended: make a new one.');
        refuseForeignScopes(by, [...scopesOf(account.scopes)]);
        const lifeMs = endMs - (account.rotatedAt ?? account.createdAt).getTime();
        const changed = {
          argon2id,
          rotatedAt: new Date(at),
          expiresAt: Number.isFinite(lifeMs) ? new Date(at + lifeMs) : null,
          previousUntil: new Date(Math.min(endMs, at + overlapMs)),
        };
        await rotateServiceAccount(sql, { tenantId, serviceAccountId, ...changed });
        const { previousUntil } = changed;
        await note(sql, by, requestId, 'service-account.rotate', account, { name: account.name, previousUntil });
        return { ...shown({ ...account, ...changed }, at), password };
      });
    },

    disable(by, requestId, serviceAccountId) {
      const { tenantId } = by;
      return database.inTenant(tenantId, async (sql) => {
        const account = await locked(sql, tenantId, serviceAccountId);
        if (account.disabledAt !== null) return;
        await disableServiceAccount(sql, { tenantId, serviceAccountId, at: now() });
        await note(sql, by, requestId, 'service-account.disable', account, { name: account.name });
      });
    },
  };
}

async function locked(sql: Sql, tenantId: string, serviceAccountId: string): Promise<ServiceAccountRow> {
  const account = await lockServiceAccount(sql, { tenantId, serviceAccountId });
  if (account === undefined) throw new Refusal('NOT_FOUND', 'There is no service account with this id.');
  return account;
}

/** 80 random bits: the name alone finds the tenant. */
export const newUsername = (): string => `service-${randomBytes(USERNAME_BYTES).toString('hex')}`;

function note(
  sql: Sql,
  { tenantId, subject }: Principal,
  requestId: string,
  action: string,
  { serviceAccountId }: { serviceAccountId: string },
  detail: NonNullable<AuditLine['detail']>,
): Promise<void> {
  const object = `service-account:${serviceAccountId}`;
  return audit(sql, { tenantId, actor: subject, action, object, outcome: 'done', requestId, detail });
}

function shown(row: ServiceAccountRow, nowMs: number): ServiceAccountShown {
  const { serviceAccountId, username, name, createdAt, createdBy, expiresAt, disabledAt, rotatedAt, lastUsedAt } = row;
  const isOver = row.previousUntil === null || row.previousUntil.getTime() <= nowMs;
  return {
    serviceAccountId,
    username,
    name,
    scopes: [...scopesOf(row.scopes)],
    createdAt,
    createdBy,
    expiresAt,
    disabledAt,
    rotatedAt,
    lastUsedAt,
    previousUntil: isOver ? null : row.previousUntil,
  };
}
