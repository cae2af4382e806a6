// The only door to PostgreSQL: every statement of the program runs inside one of the three transactions opened here.
// Row level security reads the tenant from `app.tenant`, which is set by the first statement of each transaction.
import pg from 'pg';

/** What a caller holds inside a transaction: text with $1 placeholders and its values, never glued together. */
export interface Sql {
  /** Stands for the database that the transaction belongs to: what holds for all of it is found by this. */
  readonly door: object;
  /**
   * `name` is for a statement of ingest whose text never changes and whose plan does not depend on its values: where
   * the connection may keep statements, it is parsed once. Two texts under one name are refused.
   */
  query<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
    name?: string,
  ): Promise<{ rows: Row[]; rowCount: number }>;
}

export interface DatabaseOptions {
  /** Connection of the role that row level security binds (NOBYPASSRLS, no DDL). */
  app: pg.PoolConfig;
  /** Connection of the owner: migrations, partitions, jobs. Never reached from a request. */
  owner: pg.PoolConfig;
  maxConnections?: number;
  statementTimeoutMs?: number;
  /** Named statements stay parsed on their connection; not behind a pooler, which hands out another one each time. */
  keepsStatements?: boolean;
}

/** Thrown when PostgreSQL cannot be reached or refuses for want of resources; the rim answers 503. */
export class DatabaseUnavailable extends Error {
  readonly code = 'UNAVAILABLE';
}

// SQLSTATE classes that say "not now" rather than "you did something wrong" (PostgreSQL manual, appendix A).
const UNAVAILABLE_CLASSES = new Set(['08', '53', '57', '58']);
const UNAVAILABLE_ERRNO = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT']);
const SERIALIZATION_FAILURE = '40001';
const DEADLOCK_DETECTED = '40P01';
const MAX_ATTEMPTS = 3;
/** The role that row level security binds: no BYPASSRLS, no DDL, no TRUNCATE. Made by the first migration. */
export const APP_ROLE = 'lumatrace_app';

/** What policies read to know on whose behalf a transaction asks. */
const IDENTITIES = ['app.tenant', 'app.lookup', 'app.account'] as const;

/** A server that is well answers `begin` within moments; one that takes bytes and never answers is found out by this. */
const BEGIN_TIMEOUT_MS = 5_000;
/** The server's own time limit strikes first; this one is for a server that does not answer at all. */
const SILENCE_MARGIN_MS = 2_000;
const SILENCE = 'Query read timeout';

type Setting = readonly [name: string, value: string];

export class Database {
  readonly #app: pg.Pool;
  readonly #owner: pg.Pool;
  // With an operator's DATABASE_URL both pools log in as the same user, who is a member of the role; taking the role for
  // the length of the transaction works through a pooler in transaction mode, where a session SET would leak.
  readonly #asApp: readonly Setting[];
  readonly #keepsStatements: boolean;

  constructor(options: DatabaseOptions) {
    const limits = { connectionTimeoutMillis: 5_000, idleTimeoutMillis: 30_000 };
    const statementTimeoutMs = options.statementTimeoutMs ?? 30_000;
    const silence = { query_timeout: statementTimeoutMs + SILENCE_MARGIN_MS };
    this.#app = new pg.Pool({ ...limits, ...silence, max: options.maxConnections ?? 10, ...options.app });
    this.#owner = new pg.Pool({ ...limits, max: 4, ...options.owner });
    this.#keepsStatements = options.keepsStatements ?? false;
    // Set with the role, not when connecting: a pooler refuses start-up parameters that it does not know.
    const timeoutMs = String(statementTimeoutMs);
    this.#asApp = [
      ['role', APP_ROLE],
      ['statement_timeout', timeoutMs],
      ['idle_in_transaction_session_timeout', timeoutMs],
    ];
    // A connection that breaks (server killed) must not take the process down: the pool speaks for idle ones, each
    // client for itself while it is lent; its query rejects, and the next borrower gets a fresh one.
    for (const pool of [this.#app, this.#owner]) {
      pool.on('error', () => {});
      pool.on('connect', (client) => client.on('error', () => {}));
    }
  }

  /**
   * Runs `work` in one transaction that sees and writes rows of `tenantId` only. Commits when it resolves, rolls back
   * when it throws. A deadlock or serialization failure is retried up to twice, so `work` must not have other effects.
   */
  inTenant<T>(tenantId: string, work: (sql: Sql) => Promise<T>): Promise<T> {
    return transaction(this.#app, this.#as('app.tenant', tenantId), work, this, this.#keepsStatements);
  }

  /**
   * Runs `work` before a tenant is known: row level security shows only rows that carry exactly `value` in their
   * look-up column (a key's hash, a session's hash, an e-mail address), so nothing can be listed or guessed.
   */
  inLookup<T>(value: string, work: (sql: Sql) => Promise<T>): Promise<T> {
    return transaction(this.#app, this.#as('app.lookup', value), work, this);
  }

  /** Runs `work` as one account across the tenants it belongs to (login, switching tenants). */
  inAccount<T>(accountId: string, work: (sql: Sql) => Promise<T>): Promise<T> {
    return transaction(this.#app, this.#as('app.account', accountId), work, this);
  }

  /**
   * Runs `work` as the owner. For jobs, first start and key storage only: the list of callers is kept in
   * `rooms.test.ts`. FORCE row level security binds the owner too, so tenant rows stay out of reach of it.
   */
  inSystem<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return transaction(this.#owner, [], work, this);
  }

  /** Every name that a policy reads is set, the others to nothing: what an earlier borrower left on the session is covered. */
  #as(identity: (typeof IDENTITIES)[number], value: string): readonly Setting[] {
    return [...this.#asApp, ...IDENTITIES.map((name): Setting => [name, name === identity ? value : ''])];
  }

  /** The pool of the owner, for graphile-worker and the migration runner. */
  get ownerPool(): pg.Pool {
    return this.#owner;
  }

  /** Resolves when a statement was answered; throws DatabaseUnavailable otherwise. */
  async ping(): Promise<void> {
    await transaction(this.#app, this.#asApp, (sql) => sql.query('select 1'), this);
  }

  async close(): Promise<void> {
    await Promise.all([this.#app.end(), this.#owner.end()]);
  }
}

async function transaction<T>(
  pool: pg.Pool,
  settings: readonly Setting[],
  work: (sql: Sql) => Promise<T>,
  door: object,
  keepsStatements = false,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await attemptTransaction(pool, settings, work, door, keepsStatements);
    } catch (error) {
      const state = sqlState(error);
      if (attempt < MAX_ATTEMPTS && (state === SERIALIZATION_FAILURE || state === DEADLOCK_DETECTED)) continue;
      throw unavailableOr(error);
    }
  }
}

async function attemptTransaction<T>(
  pool: pg.Pool,
  settings: readonly Setting[],
  work: (sql: Sql) => Promise<T>,
  door: object,
  keepsStatements: boolean,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query({ text: 'begin', query_timeout: BEGIN_TIMEOUT_MS } as pg.QueryConfig);
    if (settings.length > 0) {
      const calls = settings.map((_, i) => `set_config($${2 * i + 1}, $${2 * i + 2}, true)`).join(', ');
      await client.query(`select ${calls}`, settings.flat());
    }
    const result = await work(sqlOf(client, door, keepsStatements));
    await client.query('commit');
    return result;
  } catch (error) {
    // on a silent connection the rollback would wait behind what was never answered: the server rolls back when it is cut
    if (isSilence(error)) broken = error as Error;
    else {
      try {
        await client.query('rollback');
      } catch (rollbackError) {
        broken = rollbackError as Error;
      }
    }
    // After an error the connection is not trusted with session state: DISCARD would cost a round trip, a new
    // connection costs one fork; errors are rare, so destroy it unless it was a plain constraint violation.
    const state = sqlState(error);
    if (state !== undefined && !state.startsWith('23')) broken ??= error as Error;
    throw error;
  } finally {
    client.release(broken);
  }
}

function sqlOf(client: pg.PoolClient, door: object, keepsStatements: boolean): Sql {
  return {
    door,
    query<Row extends object>(text: string, values: readonly unknown[] = [], name?: string) {
      const statement = name === undefined || !keepsStatements ? { text } : { text, name };
      const answer: Promise<unknown> = client.query({ ...statement, values: [...values] });
      return answer as Promise<{ rows: Row[]; rowCount: number }>;
    },
  };
}

/** The SQLSTATE of an error from PostgreSQL, or undefined for any other error. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** pg has no code for it. */
function isSilence(error: unknown): boolean {
  return error instanceof Error && error.message === SILENCE;
}

function unavailableOr(error: unknown): unknown {
  const code = (error as { code?: unknown } | null)?.code;
  const message = error instanceof Error ? error.message : '';
  const unreachable =
    (typeof code === 'string' && (UNAVAILABLE_ERRNO.has(code) || UNAVAILABLE_CLASSES.has(code.slice(0, 2)))) ||
    isSilence(error) ||
    message.startsWith('timeout exceeded when trying to connect') ||
    message.startsWith('Connection terminated');
  if (!unreachable || code === 'UNAVAILABLE') return error;
  return new DatabaseUnavailable('The database does not answer.', { cause: error });
}
