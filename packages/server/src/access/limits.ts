// Rate limits: fixed windows counted in PostgreSQL, so that every process counts together. The limiter never fails
// open: when its store does not answer, the request is refused with UNAVAILABLE.
// What a fixed window trades away: two windows' worth can pass around the moment where one ends.
import { createHash } from 'node:crypto';
import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';
import type { Database } from '../storage/database.ts';
import { findTenant } from '../storage/postgres/tenants.ts';
import type { Principal } from './principal.ts';
import { Refusal } from './refusal.ts';
import { Remembered } from './remembered.ts';

const HOUR_SECONDS = 3_600;
const QUARTER_SECONDS = 900;

/** Limits of the installation; a tenant's row may override `requestsPerHour`. */
export interface LimitSettings {
  /** Requests an hour per tenant on /api/v1, by keys and tokens. */
  requestsPerHour: number;
  /** Requests an hour per person, by session cookie. */
  personRequestsPerHour: number;
  /** Requests an hour per address on routes that are open to everybody. */
  publicRequestsPerHour: number;
  /** Wrong passwords in 15 minutes: one name from one source; one name from everywhere; one source for all names. */
  loginFailuresPerNameAndSource: number;
  loginFailuresPerName: number;
  loginFailuresPerSource: number;
}

export const DEFAULT_LIMITS: LimitSettings = {
  requestsPerHour: 5_000,
  personRequestsPerHour: 20_000,
  publicRequestsPerHour: 600,
  loginFailuresPerNameAndSource: 10,
  loginFailuresPerName: 100,
  loginFailuresPerSource: 100,
};

/** For the X-RateLimit-* headers. */
export interface Standing {
  limit: number;
  remaining: number;
  /** Seconds until the window ends. */
  resetSeconds: number;
}

export interface Limits {
  /** Counts one request on /api/v1: per person for sessions, per tenant otherwise. @throws RATE_LIMIT_EXCEEDED. */
  countRequest(principal: Principal): Promise<Standing>;
  /** Counts one request of a person elsewhere; keys and tokens are not counted there. */
  countPerson(principal: Principal): Promise<Standing | undefined>;
  /** Counts one request of nobody in particular. @throws RATE_LIMIT_EXCEEDED. */
  countSource(source: string): Promise<Standing>;
  /**
   * Before a password is looked at: counts the attempt as failed until the contrary is shown, so that however many come
   * at once no more than the limit are looked at. @throws Refusal RATE_LIMIT_EXCEEDED.
   */
  admitLogin(attempt: LoginAttempt): Promise<void>;
  /** The name logged in from there: its own counter starts anew, the others get this attempt back. */
  forgiveLogin(attempt: LoginAttempt): Promise<void>;
  /** The password could not be looked at: the attempt was none. */
  takeBackLogin(attempt: LoginAttempt): Promise<void>;
}

export interface LoginAttempt {
  /** E-mail address or username as it was sent; kept as a hash only. */
  name: string;
  /** Address of the peer. */
  source: string;
}

/** A tenant's own limit is read again after this long. */
const TENANT_AGE_MS = 5_000;

/** Whether the password is right; when that cannot be known now, the attempt is taken back. */
export async function lookedAt(limits: Limits, attempt: LoginAttempt, matches: Promise<boolean>): Promise<boolean> {
  try {
    return await matches;
  } catch (error) {
    await limits.takeBackLogin(attempt);
    throw error;
  }
}

export interface LimitsOptions {
  database: Database;
  settings: LimitSettings;
  nowMs: () => number;
}

export function createLimits({ database, settings, nowMs }: LimitsOptions): Limits {
  const store = storeOver(database);
  const byPoints = new Map<string, RateLimiterPostgres>();
  const window = (prefix: string, points: number, seconds: number): RateLimiterPostgres => {
    const name = `${prefix}:${points}`;
    const known = byPoints.get(name);
    if (known !== undefined) return known;
    const made = new RateLimiterPostgres({
      storeClient: store,
      storeType: 'pool',
      tableName: 'rate_limits',
      tableCreated: true,
      clearExpiredByTimeout: false,
      keyPrefix: prefix,
      points,
      duration: seconds,
      // A key that is over its limit is refused from memory until its window ends, without asking the store.
      inMemoryBlockOnConsumed: points + 1,
    });
    byPoints.set(name, made);
    return made;
  };
  const ownLimits = new Remembered<number | null>({ maxAgeMs: TENANT_AGE_MS, maxEntries: 10_000, nowMs });
  const loginWindows = ({ name, source }: LoginAttempt): Array<[RateLimiterPostgres, string]> => [
    [window('login-pair', settings.loginFailuresPerNameAndSource, QUARTER_SECONDS), digest(`${name}\n${source}`)],
    [window('login-name', settings.loginFailuresPerName, QUARTER_SECONDS), digest(name)],
    [window('login-source', settings.loginFailuresPerSource, QUARTER_SECONDS), digest(source)],
  ];
  const countPerson = async (principal: Principal): Promise<Standing | undefined> =>
    principal.accountId === undefined
      ? undefined
      : count(window('person', settings.personRequestsPerHour, HOUR_SECONDS), principal.accountId);

  return {
    countPerson,
    async countRequest(principal) {
      const person = await countPerson(principal);
      if (person !== undefined) return person;
      const { tenantId } = principal;
      const own = await ownLimits.recall(tenantId, async () => {
        const tenant = await database.inTenant(tenantId, (sql) => findTenant(sql, tenantId));
        return tenant?.requestsPerHour ?? null;
      });
      return count(window('v1', own ?? settings.requestsPerHour, HOUR_SECONDS), tenantId);
    },
    countSource: (source) => count(window('public', settings.publicRequestsPerHour, HOUR_SECONDS), digest(source)),
    async admitLogin(attempt) {
      const counted: Array<[RateLimiterPostgres, string]> = [];
      for (const [limiter, key] of loginWindows(attempt)) {
        try {
          await count(limiter, key, 'Too many failed logins.');
        } catch (refused) {
          // What one counter refuses must not fill the others: many guesses at one name would lock out its whole source.
          for (const [before, own] of counted) await asked(before.reward(own));
          throw refused;
        }
        counted.push([limiter, key]);
      }
    },
    async forgiveLogin(attempt) {
      const [pair, ...others] = loginWindows(attempt);
      if (pair !== undefined) await asked(pair[0].delete(pair[1]));
      for (const [limiter, key] of others) await asked(limiter.reward(key));
    },
    async takeBackLogin(attempt) {
      for (const [limiter, key] of loginWindows(attempt)) await asked(limiter.reward(key));
    },
  };
}

async function count(limiter: RateLimiterPostgres, key: string, message = 'Too many requests.'): Promise<Standing> {
  try {
    return standingOf(limiter.points, await limiter.consume(key));
  } catch (refused) {
    if (refused instanceof RateLimiterRes) throw tooMany(limiter.points, refused, message);
    throw unavailable(refused);
  }
}

async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw unavailable(error);
  }
}

function unavailable(cause: unknown): Refusal {
  return new Refusal('UNAVAILABLE', 'The rate limiter does not answer.', { retryAfterSeconds: 2, cause });
}

function tooMany(limit: number, result: RateLimiterRes, message: string): Refusal {
  const standing = standingOf(limit, result);
  return new Refusal('RATE_LIMIT_EXCEEDED', message, {
    retryAfterSeconds: standing.resetSeconds,
    headers: standingHeaders(standing),
  });
}

function standingOf(limit: number, result: RateLimiterRes): Standing {
  const resetSeconds = Math.max(1, Math.ceil(result.msBeforeNext / 1_000));
  return { limit, remaining: Math.max(0, result.remainingPoints), resetSeconds };
}

/** The contract's headers; Reset counts seconds from now, as Retry-After does, so that no clock must agree. */
export function standingHeaders({ limit, remaining, resetSeconds }: Standing): Record<string, string> {
  return {
    'X-RateLimit-Limit': String(limit),
    'X-RateLimit-Remaining': String(remaining),
    'X-RateLimit-Reset': String(resetSeconds),
  };
}

// Names and addresses are personal data: the counters hold their digests.
function digest(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('base64url');
}

// The library runs one statement per call, each about one key, which it gives as the first value. The statement runs in
// a transaction that can reach this key's row only.
function storeOver(database: Database): object {
  return {
    query: ({ text, values }: { text: string; values: readonly unknown[] }) =>
      database.inLookup(String(values[0]), (sql) => sql.query(text, values)),
  };
}
