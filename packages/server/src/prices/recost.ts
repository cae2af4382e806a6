// Runs that price stored spans again: what one would change, starting it, its progress, ending it.
import { randomUUID } from 'node:crypto';
import type { PriceBook } from '@lumatrace/telemetry';
import { audit } from '../access/audit.ts';
import type { Principal } from '../access/principal.ts';
import type { Database, Sql } from '../storage/database.ts';
import {
  addRecostStep,
  countTracesBetween,
  insertRecost,
  listRecosts,
  lockRecost,
  readRecost,
  setRecostState,
  type PriceChange,
  type RecostBatch,
  type RecostRow,
  type TraceRange,
} from '../storage/postgres/prices.ts';
import { PricesRefusal } from './refusal.ts';

export type { PriceChange };

/** Prices the next traces of a range again; main.ts hands in the room that writes spans. */
export type PriceAgain = (
  tenantId: string,
  range: TraceRange,
  after: RecostBatch['last'],
  terms: {
    prices: PriceBook;
    isDryRun: boolean;
    traces: number;
    onBatch?: (sql: Sql, batch: RecostBatch) => Promise<void>;
  },
) => Promise<RecostBatch>;

export interface RecostOptions {
  database: Database;
  bookOf(tenantId: string): Promise<PriceBook>;
  priceAgain: PriceAgain;
  enqueue(payload: { tenantId: string; recostId: string }): Promise<void>;
  nowMs?: () => number;
}

export interface DryRun extends PriceChange {
  traces: number;
  tracesTotal: number;
  /** False: the range was too long for an answer; the sums are of its first traces. */
  isComplete: boolean;
  priceVersion: string;
  models: Array<PriceChange & { provider: string | null; model: string | null }>;
}

export interface Recost {
  dryRun(tenantId: string, range: TraceRange): Promise<DryRun>;
  /** Throws PricesRefusal CONFLICT while another run of the tenant is under way. */
  start(principal: Pick<Principal, 'tenantId' | 'subject'>, requestId: string, range: TraceRange): Promise<RecostRow>;
  list(tenantId: string): Promise<RecostRow[]>;
  read(tenantId: string, recostId: string): Promise<RecostRow>;
  cancel(principal: Pick<Principal, 'tenantId' | 'subject'>, requestId: string, recostId: string): Promise<RecostRow>;
  /** The job: goes on where the run is. Safe to run again after a crash, and twice. */
  work(tenantId: string, recostId: string, signal: AbortSignal): Promise<void>;
}

const TRACES_PER_BATCH = 100;
const DRY_RUN_LIMIT_MS = 15_000;
const MAX_LISTED = 20;
const MAX_MODELS = 200;

export function createRecost(options: RecostOptions): Recost {
  const { database, bookOf, priceAgain, enqueue, nowMs = Date.now } = options;

  async function read(tenantId: string, recostId: string): Promise<RecostRow> {
    const row = await database.inTenant(tenantId, (sql) => readRecost(sql, tenantId, recostId));
    if (row === undefined) throw new PricesRefusal('NOT_FOUND', 'There is no such run.');
    return row;
  }

  return {
    read,
    list: (tenantId) => database.inTenant(tenantId, (sql) => listRecosts(sql, tenantId, MAX_LISTED)),

    async dryRun(tenantId, range) {
      const prices = await bookOf(tenantId);
      const tracesTotal = await database.inTenant(tenantId, (sql) => countTracesBetween(sql, tenantId, range));
      const total: PriceChange = {
        spans: 0,
        changed: 0,
        unpricedBefore: 0,
        unpricedAfter: 0,
        oldPico: 0n,
        newPico: 0n,
      };
      const models = new Map<string, PriceChange>();
      const endMs = nowMs() + DRY_RUN_LIMIT_MS;
      let traces = 0;
      let isComplete = false;
      for (let after: RecostBatch['last'] = null; nowMs() < endMs;) {
        const batch: RecostBatch = await priceAgain(tenantId, range, after, {
          prices,
          isDryRun: true,
          traces: TRACES_PER_BATCH,
        });
        traces += batch.traces;
        add(total, batch);
        for (const [name, change] of batch.models) models.set(name, add({ ...(models.get(name) ?? NOTHING) }, change));
        after = batch.last;
        if (batch.traces < TRACES_PER_BATCH) {
          isComplete = true;
          break;
        }
      }
      return {
        ...total,
        traces,
        tracesTotal,
        isComplete,
        priceVersion: prices.version,
        models: [...models]
          .sort(([, a], [, b]) => Number(magnitude(b) - magnitude(a)) || b.spans - a.spans)
          .slice(0, MAX_MODELS)
          .map(([name, change]) => {
            const [provider = '', model = ''] = name.split('\n');
            return { ...change, provider: provider || null, model: model || null };
          }),
      };
    },

    async start({ tenantId, subject }, requestId, range) {
      const recostId = randomUUID();
      const prices = await bookOf(tenantId);
      await database.inTenant(tenantId, async (sql) => {
        const tracesTotal = await countTracesBetween(sql, tenantId, range);
        const run = { recostId, ...range, priceVersion: prices.version, tracesTotal, by: subject };
        if (!(await insertRecost(sql, tenantId, run)))
          throw new PricesRefusal('CONFLICT', 'Another run is under way: wait for its end, or cancel it.');
        await audit(sql, {
          tenantId,
          actor: subject,
          action: 'prices.recost',
          object: `recost:${recostId}`,
          outcome: 'done',
          requestId,
          detail: {
            from: String(range.fromNs),
            until: String(range.untilNs),
            prices: prices.version,
            traces: tracesTotal,
          },
        });
      });
      await enqueue({ tenantId, recostId });
      return read(tenantId, recostId);
    },

    async cancel({ tenantId, subject }, requestId, recostId) {
      await database.inTenant(tenantId, async (sql) => {
        if ((await readRecost(sql, tenantId, recostId)) === undefined)
          throw new PricesRefusal('NOT_FOUND', 'There is no such run.');
        const isCancelled = await setRecostState(sql, tenantId, recostId, 'cancelled');
        if (!isCancelled) return;
        await audit(sql, {
          tenantId,
          actor: subject,
          action: 'prices.recost.cancel',
          object: `recost:${recostId}`,
          outcome: 'done',
          requestId,
        });
      });
      return read(tenantId, recostId);
    },

    async work(tenantId, recostId, signal) {
      const isOurs = await database.inTenant(tenantId, (sql) => setRecostState(sql, tenantId, recostId, 'running'));
      if (!isOurs) return;
      try {
        for (;;) {
          signal.throwIfAborted();
          if (await oneBatch(tenantId, recostId)) return;
        }
      } catch (error) {
        // stopped, or the database is away: the job comes again and goes on; anything else would come again for ever
        if (!signal.aborted && (error as { code?: unknown }).code !== 'UNAVAILABLE') {
          await database.inTenant(tenantId, (sql) =>
            setRecostState(sql, tenantId, recostId, 'failed', 'It ended by a fault; what it had priced stays.'),
          );
        }
        throw error;
      }
    },
  };

  /** True when the run is over. */
  async function oneBatch(tenantId: string, recostId: string): Promise<boolean> {
    const row = await read(tenantId, recostId);
    if (row.state !== 'running') return true;
    const range = { fromNs: BigInt(row.fromNs), untilNs: BigInt(row.untilNs) };
    const after =
      row.afterNs === null || row.afterTrace === null
        ? null
        : { startNs: BigInt(row.afterNs), traceId: row.afterTrace };
    const prices = await bookOf(tenantId);
    const onBatch = async (sql: Sql, batch: RecostBatch): Promise<void> => {
      const locked = await lockRecost(sql, tenantId, recostId);
      // cancelled, or another worker was here: the batch is rolled back
      if (locked?.state !== 'running' || locked.afterTrace !== row.afterTrace) throw new Overtaken();
      if (batch.last === null) await setRecostState(sql, tenantId, recostId, 'completed');
      else await addRecostStep(sql, tenantId, recostId, { ...batch, last: batch.last });
    };
    try {
      const batch = await priceAgain(tenantId, range, after, {
        prices,
        isDryRun: false,
        traces: TRACES_PER_BATCH,
        onBatch,
      });
      return batch.last === null;
    } catch (error) {
      if (error instanceof Overtaken) return false;
      throw error;
    }
  }
}

class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

const NOTHING: PriceChange = { spans: 0, changed: 0, unpricedBefore: 0, unpricedAfter: 0, oldPico: 0n, newPico: 0n };

function add(sum: PriceChange, change: PriceChange): PriceChange {
  sum.spans += change.spans;
  sum.changed += change.changed;
  sum.unpricedBefore += change.unpricedBefore;
  sum.unpricedAfter += change.unpricedAfter;
  sum.oldPico += change.oldPico;
  sum.newPico += change.newPico;
  return sum;
}

function magnitude({ oldPico, newPico }: PriceChange): bigint {
  const difference = newPico - oldPico;
  return difference < 0n ? -difference : difference;
}
