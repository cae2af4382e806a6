// Transactions of many tenants through few connections, each ended in one of the ways in which one can end: whether any of
// them, or a borrower who names no tenant, is shown or may change a row of another.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Database, Sql } from '../storage/database.ts';
import { sqlState } from '../storage/database.ts';

export interface InterleavedOptions {
  /** The program's door, through the connections that are shared. */
  door: Pick<Database, 'inTenant' | 'inLookup'>;
  /** The same connections without the door, as the app role. */
  raw: pg.PoolConfig;
  /** Past the pooler, for orders to other connections, as the app role. */
  direct: pg.PoolConfig;
  transactions: number;
  tenants: number;
  atOnce: number;
  /** A whole number from 0 to below `end`; the caller's stream of chance. */
  below(end: number): number;
}

export interface InterleavedFigures {
  transactions: number;
  /** Rows of another tenant that were shown, changed or made; rows shown to a borrower who named no tenant. */
  foreignRows: number;
  /** Rows of the own tenant that were seen: without them, zero foreign ones would say nothing. */
  ownRows: number;
  /** Backends of PostgreSQL that served. */
  backends: number;
  /** Times that a backend served another tenant than right before. */
  handovers: number;
  /** Transactions by the way in which they ended. */
  endings: Record<string, number>;
  /** Endings that were not as they must be, such as a cancelled query that went through; at most ten. */
  unexpected: string[];
}

interface Run extends InterleavedOptions {
  ids: readonly string[];
  tables: readonly string[];
  figures: InterleavedFigures;
  lastTenant: Map<number, string>;
  canceller: pg.Pool;
}

// `installation` has one row, which names the tenant of the first start and is known to all (an exception of the invariants)
const TABLES = `
  select c.oid::regclass::text as name
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
   where c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'installation' and has_table_privilege(c.oid, 'select')
   order by 1`;
const CANCEL_SLEEPER = `
  select pg_cancel_backend(pid) from pg_stat_activity where pid = $1 and state = 'active' and query like '%pg_sleep%'`;
const TABLES_AT_ONCE = 3;
const DAY = '2026-01-01';
const MAX_UNEXPECTED = 10;

/** How a transaction may end, and how often out of 1,000. Those that wait or cost a connection are rare. */
const ENDINGS: ReadonlyArray<
  readonly [name: string, weight: number, run: (run: Run, tenant: string) => Promise<void>]
> = [
  ['read', 400, (run, tenant) => run.door.inTenant(tenant, (sql) => look(run, sql, tenant))],
  ['written', 230, (run, tenant) => run.door.inTenant(tenant, (sql) => change(run, sql, tenant))],
  ['prepared', 80, prepared],
  ['thrown', 60, thrown],
  ['failed', 60, failed],
  ['clashed', 50, clashed],
  ['forged', 50, forged],
  ['looked up', 40, lookedUp],
  ['without a tenant', 20, withoutTenant],
  ['cancelled', 4, cancelled],
  ['timed out', 4, timedOut],
  ['cut', 2, cut],
];
const ALL_WEIGHTS = ENDINGS.reduce((sum, [, weight]) => sum + weight, 0);

/** Makes the tenants, then runs the transactions, `atOnce` of them side by side. */
export async function interleave(options: InterleavedOptions): Promise<InterleavedFigures> {
  const canceller = new pg.Pool({ ...options.direct, max: 2 });
  canceller.on('connect', (client) => client.on('error', () => {}));
  try {
    const { rows } = await canceller.query<{ name: string }>(TABLES);
    const run: Run = {
      ...options,
      ids: Array.from({ length: options.tenants }, () => randomUUID()),
      tables: rows.map(({ name }) => name),
      figures: { transactions: 0, foreignRows: 0, ownRows: 0, backends: 0, handovers: 0, endings: {}, unexpected: [] },
      lastTenant: new Map(),
      canceller,
    };
    for (const tenantId of run.ids) await furnish(run, tenantId);
    await Promise.all(Array.from({ length: options.atOnce }, () => work(run)));
    run.figures.backends = run.lastTenant.size;
    return run.figures;
  } finally {
    await canceller.end();
  }
}

/** Through a door of its own that is never pooled: what is tried here are the transactions after it. */
async function furnish(run: Run, tenantId: string): Promise<void> {
  await tenantOf(run.canceller, tenantId, async (client) => {
    await client.query(`insert into tenants (tenant_id, name) values ($1, 'interleaved')`, [tenantId]);
    await client.query(`insert into redaction_hits (tenant_id, day, rule_id, hits) values ($1, $2, 'first', 0)`, [
      tenantId,
      DAY,
    ]);
    await client.query(`insert into usage (tenant_id, day, traces, spans, duplicates, replaced, bytes)
                        values ($1, $2, 0, 0, 0, 0, 0)`, [tenantId, DAY]); // prettier-ignore
  });
}

async function tenantOf(
  pool: pg.Pool,
  tenantId: string,
  within: (client: pg.ClientBase) => Promise<unknown>,
): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query(`select set_config('app.tenant', $1, true)`, [tenantId]);
    await within(client);
    await client.query('commit');
  } finally {
    client.release();
  }
}

async function work(run: Run): Promise<void> {
  while (run.figures.transactions < run.transactions) {
    run.figures.transactions++;
    const tenant = run.ids[run.below(run.ids.length)] as string;
    const [name, , perform] = drawn(run.below(ALL_WEIGHTS));
    run.figures.endings[name] = (run.figures.endings[name] ?? 0) + 1;
    await perform(run, tenant).catch((error: unknown) => note(run, `${name}: ${String(error)}`));
  }
}

function drawn(lot: number): (typeof ENDINGS)[number] {
  let rest = lot;
  const found = ENDINGS.find(([, weight]) => (rest -= weight) < 0);
  if (found === undefined) throw new TypeError('Expected a lot below the sum of all weights');
  return found;
}

function note({ figures }: Run, what: string): void {
  if (figures.unexpected.length < MAX_UNEXPECTED) figures.unexpected.push(what);
}

/** Three tables by lot, and who is served by which backend. */
async function look(run: Run, sql: Pick<Sql, 'query'>, tenant: string | undefined): Promise<void> {
  const tables = Array.from({ length: TABLES_AT_ONCE }, () => run.tables[run.below(run.tables.length)] as string);
  const counts = ['tenants', 'redaction_hits', ...tables].map(
    (table) => `select count(*) filter (where tenant_id = $1) as own,
                       count(*) filter (where tenant_id is distinct from $1) as others from ${table}`,
  );
  const { rows } = await sql.query<{ own: number; others: number; backend: number }>(
    `select sum(own)::int as own, sum(others)::int as others, pg_backend_pid() as backend
       from (${counts.join(' union all ')}) seen`,
    [tenant ?? null],
  );
  const [{ own = 0, others = 0, backend = 0 } = {}] = rows;
  run.figures.ownRows += own;
  run.figures.foreignRows += others;
  if (tenant === undefined) return;
  const last = run.lastTenant.get(backend);
  if (last !== undefined && last !== tenant) run.figures.handovers++;
  run.lastTenant.set(backend, tenant);
}

/** Names no tenant: row level security alone keeps the others out. */
async function change(run: Run, sql: Pick<Sql, 'query'>, tenant: string): Promise<void> {
  const { rows } = await sql.query<{ tenant: string }>(
    'update redaction_hits set hits = hits + 1 returning tenant_id as tenant',
  );
  run.figures.ownRows += rows.filter((row) => row.tenant === tenant).length;
  run.figures.foreignRows += rows.filter((row) => row.tenant !== tenant).length;
}

function prepared(run: Run, tenant: string): Promise<void> {
  return run.door.inTenant(tenant, async (sql) => {
    const { rows } = await sql.query<{ tenant: string }>(
      'select tenant_id as tenant from usage where day = $1',
      [DAY],
      'usage-of-a-day',
    );
    run.figures.ownRows += rows.filter((row) => row.tenant === tenant).length;
    run.figures.foreignRows += rows.filter((row) => row.tenant !== tenant).length;
  });
}

async function thrown(run: Run, tenant: string): Promise<void> {
  const reason = new Error('thrown by the work');
  await mustEnd(
    run,
    run.door.inTenant(tenant, async (sql) => {
      await change(run, sql, tenant);
      throw reason;
    }),
    (error) => error === reason,
  );
}

function failed(run: Run, tenant: string): Promise<void> {
  const attempt = run.door.inTenant(tenant, async (sql) => {
    await change(run, sql, tenant);
    await sql.query('select 1 / 0');
  });
  return mustEnd(run, attempt, (error) => sqlState(error) === '22012');
}

function clashed(run: Run, tenant: string): Promise<void> {
  const attempt = run.door.inTenant(tenant, (sql) =>
    sql.query(`insert into redaction_hits (tenant_id, day, rule_id, hits) values ($1, $2, 'first', 0)`, [tenant, DAY]),
  );
  return mustEnd(run, attempt, (error) => sqlState(error) === '23505');
}

/** A row in the name of another tenant. */
function forged(run: Run, tenant: string): Promise<void> {
  const other = run.ids[(run.ids.indexOf(tenant) + 1 + run.below(run.ids.length - 1)) % run.ids.length];
  const attempt = run.door.inTenant(tenant, async (sql) => {
    const forgedRow = `insert into redaction_hits (tenant_id, day, rule_id, hits) values ($1, $2, $3, 1)`;
    const { rowCount } = await sql.query(forgedRow, [other, DAY, randomUUID()]);
    run.figures.foreignRows += rowCount;
  });
  return mustEnd(run, attempt, (error) => sqlState(error) === '42501');
}

/** Before a tenant is known: what nobody's hash opens shows nothing. */
function lookedUp(run: Run): Promise<void> {
  return run.door.inLookup(randomUUID(), (sql) => look(run, sql, undefined));
}

/** Without the door and without a tenant: whatever the last borrower left behind would show here. */
async function withoutTenant(run: Run): Promise<void> {
  const client = await rawClient(run);
  try {
    await client.query('begin');
    await look(run, client as Pick<Sql, 'query'>, undefined);
    await client.query('commit');
  } finally {
    await client.end();
  }
}

function cancelled(run: Run, tenant: string): Promise<void> {
  const attempt = run.door.inTenant(tenant, async (sql) => {
    await change(run, sql, tenant);
    const { rows } = await sql.query<{ pid: number }>('select pg_backend_pid() as pid');
    const pid = rows[0]?.pid;
    const sleeping = sql.query('select pg_sleep(1)');
    sleeping.catch(() => {});
    // asked again until it sleeps; an order that came late would end the statement of the next tenant
    for (let asked = 0; asked < 50; asked++) {
      await run.canceller.query(CANCEL_SLEEPER, [pid]);
      const isOver = await Promise.race([sleeping.then(over, over), pause(20)]);
      if (isOver === true) break;
    }
    await sleeping;
  });
  return mustEnd(run, attempt, (error) => sqlState(error) === '57014' || isWrapped(error, '57014'));
}

function timedOut(run: Run, tenant: string): Promise<void> {
  const attempt = run.door.inTenant(tenant, async (sql) => {
    await change(run, sql, tenant);
    await sql.query(`select set_config('statement_timeout', '5', true)`);
    await sql.query('select pg_sleep(1)');
  });
  return mustEnd(run, attempt, (error) => isWrapped(error, '57014'));
}

/** The client is gone in the middle of its transaction. */
async function cut(run: Run, tenant: string): Promise<void> {
  const client = await rawClient(run);
  await client.query('begin');
  await client.query(`select set_config('app.tenant', $1, true)`, [tenant]);
  await change(run, client as Pick<Sql, 'query'>, tenant);
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
  connection.stream.destroy();
}

async function rawClient({ raw }: Run): Promise<pg.Client> {
  const client = new pg.Client(raw);
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function mustEnd(run: Run, attempt: Promise<unknown>, isRight: (error: unknown) => boolean): Promise<void> {
  const error: unknown = await attempt.then(
    () => new Error('went through'),
    (reason: unknown) => reason,
  );
  if (!isRight(error)) note(run, `ended with ${String(error)}`);
}

function isWrapped(error: unknown, state: string): boolean {
  return sqlState(error) === state || sqlState((error as { cause?: unknown } | null)?.cause) === state;
}

function over(): true {
  return true;
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
