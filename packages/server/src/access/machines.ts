// Service accounts: a name and a password against a token of 15 minutes.
import type { Database } from '../storage/database.ts';
import { findServiceAccount } from '../storage/postgres/service-accounts.ts';
import { audit } from './audit.ts';
import { lookedAt, type Limits, type LoginAttempt } from './limits.ts';
import { TOKEN_LIFE_SECONDS, type MachineTokens } from './machine-tokens.ts';
import { failedLoginAnswer, type Passwords } from './passwords.ts';
import { Refusal } from './refusal.ts';

export interface Machines {
  /**
   * @param credentials `scopes` narrows the token to these of the account's
   * @throws Refusal AUTH_INVALID, RATE_LIMIT_EXCEEDED, UNAVAILABLE; FORBIDDEN for scopes that the account does not hold
   */
  login(
    credentials: { username: string; password: string; scopes?: readonly string[] },
    source: string,
    requestId: string,
  ): Promise<{ token: string; expiresInSeconds: number; scopes: readonly string[] }>;
}

export interface MachinesOptions {
  database: Database;
  tokens: MachineTokens;
  passwords: Passwords;
  limits: Limits;
}

export function createMachines({ database, tokens, passwords, limits }: MachinesOptions): Machines {
  return {
    async login({ username, password, scopes }, source, requestId) {
      const attempt: LoginAttempt = { name: username, source };
      await limits.admitLogin(attempt);
      const answerAt = failedLoginAnswer();
      const account = await database.inLookup(username, (sql) => findServiceAccount(sql, username));
      const isRight = await lookedAt(limits, attempt, passwords.matches(account?.argon2id, password));
      const isAdmitted = isRight && account !== undefined && account.disabledAt === null;
      const foreign = (scopes ?? []).filter((scope) => account?.scopes.includes(scope) !== true);
      if (account !== undefined) {
        const { tenantId } = account;
        const subject = `service-account:${account.serviceAccountId}`;
        const outcome = isAdmitted && foreign.length === 0 ? 'done' : 'denied';
        await database.inTenant(tenantId, (sql) =>
          audit(sql, { tenantId, actor: subject, action: 'token.issue', object: subject, outcome, requestId }),
        );
      }
      if (!isAdmitted) {
        await answerAt;
        throw new Refusal('AUTH_INVALID', 'The username or the password is not right.', {
          action: 'Check both and try again.',
        });
      }
      await limits.forgiveLogin(attempt);
      if (foreign.length > 0)
        throw new Refusal('FORBIDDEN', 'The service account does not hold a scope that was asked for.');
      const granted = scopes ?? account.scopes;
      const token = await tokens.issue({ ...account, scopes: granted });
      return { token, expiresInSeconds: TOKEN_LIFE_SECONDS, scopes: granted };
    },
  };
}
