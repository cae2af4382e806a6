// Logging in, staying in, leaving: people and their passwords.
import type { Database, Sql } from '../storage/database.ts';
import {
  actAsAccount,
  findAccountByEmail,
  findLogin,
  isPasswordOf,
  recordLogin,
  replacePassword,
  roleOf,
  type LoginRow,
} from '../storage/postgres/accounts.ts';
import { deleteOtherSessions, lockSessionsOf } from '../storage/postgres/sessions.ts';
import { audit, type AuditLine } from './audit.ts';
import { lookedAt, type Limits, type LoginAttempt } from './limits.ts';
import { failedLoginAnswer, passwordFault, type Passwords } from './passwords.ts';
import { ROLES, type Principal, type Role } from './principal.ts';
import { Refusal } from './refusal.ts';
import type { OpenedSession, Sessions, User } from './sessions.ts';

export interface LoggedIn extends OpenedSession {
  user: User;
  mustChangePassword: boolean;
}

/** How somebody came in. */
export interface Entry {
  by: 'password' | 'passkey' | 'provider' | 'invitation';
  requestId: string;
  device: string | null;
  /** Set: the session is good in the tenant of this provider alone. */
  providerId?: string;
  /** Asked in the transaction that opens the session, acting as the account: false refuses. */
  isStillRight?(sql: Sql): Promise<boolean>;
}

export interface People {
  /** One answer and one duration for an unknown name and a wrong password. @throws Refusal AUTH_INVALID, RATE_LIMIT_EXCEEDED. */
  login(
    credentials: { email: string; password: string },
    source: string,
    requestId: string,
    device?: string | null,
  ): Promise<LoggedIn>;
  /**
   * Opens a session for somebody who has shown who they are, in the tenant that the row names. The audit line of the login
   * is written here, in the same transaction. @throws Refusal AUTH_INVALID for one who is no member there (any more)
   */
  enter(account: LoginRow, how: Entry): Promise<LoggedIn>;
  /** @throws Refusal AUTH_INVALID when the account is gone. */
  user(principal: Principal): Promise<User>;
  /** Exchanges the session for a new one; its absolute end stays. */
  refresh(principal: Principal, requestId: string, device?: string | null): Promise<OpenedSession>;
  /**
   * Before something that a stolen session must not do. A wrong one counts as a failed login does.
   * @throws Refusal VALIDATION_FAILED, RATE_LIMIT_EXCEEDED; FORBIDDEN for whoever came by single sign-on
   */
  confirm(principal: Principal, password: string, source: string): Promise<LoginRow>;
  /** Ends every session of the account and opens a new one. @throws Refusal AUTH_INVALID, VALIDATION_FAILED. */
  changePassword(
    principal: Principal,
    passwords: { currentPassword: string; newPassword: string },
    source: string,
    requestId: string,
    device?: string | null,
  ): Promise<OpenedSession>;
  logout(principal: Principal, requestId: string): Promise<void>;
}

export interface PeopleOptions {
  database: Database;
  sessions: Sessions;
  passwords: Passwords;
  limits: Limits;
  nowMs: () => number;
}

/** Addresses are compared in this form: composed (NFC), without surrounding blanks, lower case. */
export function normalisedEmail(email: string): string {
  return email.normalize('NFC').trim().toLowerCase();
}

export function createPeople({ database, sessions, passwords, limits, nowMs }: PeopleOptions): People {
  async function accountOf(email: string): Promise<Awaited<ReturnType<typeof findLogin>>> {
    const accountId = await database.inLookup('', (sql) => findAccountByEmail(sql, email));
    return accountId === undefined ? undefined : database.inAccount(accountId, (sql) => findLogin(sql, accountId));
  }

  async function enter(account: LoginRow, how: Entry): Promise<LoggedIn> {
    const { accountId, tenantId } = account;
    const { requestId, device, by, providerId } = how;
    if (tenantId === null) throw wrong();
    const subject = `account:${accountId}`;
    return database.inTenant(tenantId, async (sql) => {
      await lockSessionsOf(sql, accountId);
      const role = await roleOf(sql, tenantId, accountId);
      if (role === undefined || !isRole(role)) throw wrong();
      await actAsAccount(sql, accountId);
      if ((await how.isStillRight?.(sql)) === false) throw wrong();
      await recordLogin(sql, accountId, new Date(nowMs()));
      const detail = providerId === undefined ? { by } : { by, providerId };
      await audit(sql, {
        tenantId,
        actor: subject,
        action: 'login',
        object: subject,
        outcome: 'done',
        requestId,
        detail,
      });
      const session = await sessions.openIn(sql, { tenantId, accountId, device, providerId });
      const user = { id: accountId, email: account.email, name: account.name, role, tenantId };
      return { ...session, user, mustChangePassword: account.mustChangePassword };
    });
  }

  async function confirm(principal: Principal, password: string, source: string): Promise<LoginRow> {
    const { accountId } = ownPerson(principal);
    const account = await database.inAccount(accountId, (sql) => findLogin(sql, accountId));
    if (account === undefined) throw wrong();
    // A stolen session must not become a place to guess passwords: the limits of the login hold here too.
    const attempt: LoginAttempt = { name: account.email, source };
    await limits.admitLogin(attempt);
    if (!(await lookedAt(limits, attempt, passwords.matches(account.argon2id ?? undefined, password)))) {
      throw new Refusal('VALIDATION_FAILED', 'The current password is not right.', {
        action: 'Enter the password that you logged in with.',
      });
    }
    await limits.takeBackLogin(attempt);
    return account;
  }

  return {
    async login(credentials, source, requestId, device = null) {
      const email = normalisedEmail(credentials.email);
      const attempt: LoginAttempt = { name: email, source };
      await limits.admitLogin(attempt);
      const answerAt = failedLoginAnswer();
      const account = await accountOf(email);
      const isRight = await lookedAt(
        limits,
        attempt,
        passwords.matches(account?.argon2id ?? undefined, credentials.password),
      );
      if (account === undefined || account.managedBy !== null || account.tenantId === null || !isRole(account.role)) {
        await answerAt;
        throw wrong();
      }
      const { accountId, tenantId } = account;
      const subject = `account:${accountId}`;
      if (!isRight) {
        await database.inTenant(tenantId, (sql) =>
          audit(sql, { tenantId, actor: subject, action: 'login', object: subject, outcome: 'denied', requestId }),
        );
        await answerAt;
        throw wrong();
      }
      const { argon2id } = account;
      const entered = await enter(account, {
        requestId,
        device,
        by: 'password',
        // it may have been changed while it was looked at: the change ended every session, and this would be one more
        isStillRight: async (sql) => argon2id !== null && isPasswordOf(sql, accountId, argon2id),
      });
      await limits.forgiveLogin(attempt);
      return entered;
    },

    enter,
    confirm,

    async user(principal) {
      const { tenantId, accountId } = person(principal);
      const account = await database.inAccount(accountId, (sql) => findLogin(sql, accountId));
      if (account === undefined || principal.role === undefined) throw wrong();
      return { id: accountId, email: account.email, name: account.name, role: principal.role, tenantId };
    },

    refresh(principal, requestId, device = null) {
      const { tenantId, accountId } = person(principal);
      return database.inTenant(tenantId, async (sql) => {
        const expiresAt = principal.sessionExpiresAt;
        await lockSessionsOf(sql, accountId);
        // ended since it was recognised: it must not come back as a new one
        if (!(await sessions.closeIn(sql, principal))) throw ended();
        await note(sql, principal, requestId, 'session.refresh');
        return sessions.openIn(sql, { tenantId, accountId, device, providerId: principal.providerId }, expiresAt);
      });
    },

    async changePassword(principal, { currentPassword, newPassword }, source, requestId, device = null) {
      const { tenantId, accountId } = ownPerson(principal);
      const account = await confirm(principal, currentPassword, source);
      const fault = passwordFault(newPassword, { email: account.email, current: currentPassword });
      if (fault !== undefined) throw new Refusal('VALIDATION_FAILED', fault, { action: 'Choose another password.' });
      const argon2id = await passwords.hash(newPassword);
      return database.inTenant(tenantId, async (sql) => {
        await lockSessionsOf(sql, accountId);
        if (!(await sessions.closeIn(sql, principal))) throw ended();
        await actAsAccount(sql, accountId);
        await replacePassword(sql, accountId, { argon2id, changedAt: new Date(nowMs()) });
        await deleteOtherSessions(sql, { tenantId: null, accountId, kept: undefined });
        await note(sql, principal, requestId, 'password.change');
        return sessions.openIn(sql, { tenantId, accountId, device });
      });
    },

    logout(principal, requestId) {
      return database.inTenant(principal.tenantId, async (sql) => {
        await sessions.closeIn(sql, principal);
        await note(sql, principal, requestId, 'logout');
      });
    },
  };
}

export function ended(): Refusal {
  return new Refusal('AUTH_INVALID', 'The session has ended.', { action: 'Log in again.' });
}

function wrong(): Refusal {
  return new Refusal('AUTH_INVALID', 'The e-mail address or the password is not right.', {
    action: 'Check both and try again.',
  });
}

export function person(principal: Principal): { tenantId: string; accountId: string } {
  const { tenantId, accountId } = principal;
  if (accountId === undefined) throw new Refusal('FORBIDDEN', 'Only a person who is logged in may do this.');
  return { tenantId, accountId };
}

/** Somebody who logged in as themselves: not one for whom a tenant's own provider vouched. */
export function ownPerson(principal: Principal): { tenantId: string; accountId: string } {
  const { providerId } = principal;
  if (providerId === undefined) return person(principal);
  throw new Refusal('FORBIDDEN', 'You came by single sign-on, which is good in this tenant alone.', {
    action: 'Log in with your password or a passkey for this.',
  });
}

function isRole(text: string | null): text is Role {
  return (ROLES as readonly (string | null)[]).includes(text);
}

function note(
  sql: Sql,
  principal: Principal,
  requestId: string,
  action: string,
  detail?: AuditLine['detail'],
): Promise<void> {
  const { tenantId, subject } = principal;
  return audit(sql, {
    tenantId,
    actor: subject,
    action,
    object: subject,
    outcome: 'done',
    requestId,
    ...(detail === undefined ? {} : { detail }),
  });
}
