// Every question of the pages on a tenant with a month of traces, before and after statistics are gathered: what
// PostgreSQL really read is counted, so that a plan that walks a table, or every partition of one, fails here.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import pg from 'pg';
import { testDatabase } from '../../test/harness.ts';
import type { Sql } from '../database.ts';
import { chartCells, exactLatencies, type Range } from './charts.ts';
import { ensureDayPartitions } from './partitions.ts';
import { DIMENSIONS, type Dimension } from './rollups.ts';
import { findSpan, findSpans, outlineOfTrace, spansOfTrace } from './spans.ts';
import { countListed, findTrace, listTraces, type TraceFilter } from './trace-list.ts';
import { lockTraces } from './traces.ts';

const DAYS = 30;
const TRACES_PER_DAY = 400;
const SPANS_PER_TRACE = 5;
const DAY_NS = 86_400_000_000_000n;
/** A whole day, so that ranges can be cut as needed. */
const FIRST_DAY = 20_000;
const UNTIL_NS = BigInt(FIRST_DAY + DAYS) * DAY_NS;

const db = await testDatabase();
after(() => db.close());
const tenantId = randomUUID();
const neighbour = randomUUID();
const days = Array.from({ length: DAYS }, (_, day) => FIRST_DAY + day);
await ensureDayPartitions(db.database, 30, days);
await withoutAutovacuum();
for (const tenant of [tenantId, neighbour]) await fill(tenant);

/** Otherwise the first test sees statistics of whatever was there at some moment of the filling. */
async function withoutAutovacuum(): Promise<void> {
  const client = new pg.Client(db.superuser);
  await client.connect();
  for (const table of ['traces', 'rollups'])
    await client.query(`alter table ${table} set (autovacuum_enabled = false)`);
  await client.end();
}

/** Traces spread evenly over the month, five spans each, and the cells that they add up to. */
async function fill(tenant: string): Promise<void> {
  await db.database.inTenant(tenant, async (sql) => {
    const place = [tenant, FIRST_DAY, DAYS * TRACES_PER_DAY, TRACES_PER_DAY];
    const TRACE = `
      generate_series(0, $3::int - 1) as i
      cross join lateral (
        select md5($1 || i)::uuid as trace_id,
          ($2::bigint + i / $4::int) * 86400000000000 + (i % $4::int) * (86400000000000 / $4::int) as start_ns
      ) as t
    `;
    await sql.query(
      `
        insert into traces (
          tenant_id, trace_id, retention_class, start_ns, end_ns, span_count, billable_count, unpriced_count, error_count,
          cost_pico, input_tokens, output_tokens, status, span_id, name, service, endpoint, user_id, session_id,
          services, models, tags, days, sealed
        )
        select $1::uuid, trace_id, 30, start_ns, start_ns + 1000000 * (i % 97), 5, 5, 0, (i % 50 = 0)::int, i, 10, 10,
          case when i % 50 = 0 then 2 else 0 end, 1, 'ask', 'service-' || i % 5, '/ask', 'user-' || i % 700,
          'session-' || i / 3, array['service-' || i % 5], array['model-' || i % 7], array['web'],
          array[date '1970-01-01' + ($2::int + i / $4::int)], repeat('x', 400)::bytea
        from ${TRACE}
      `,
      place,
    );
    await sql.query(
      `
        insert into spans (
          tenant_id, day, trace_id, span_id, retention_class, start_ns, end_ns, content_hash, block_id, block_day,
          block_index, cost_pico, status, kind, billable, name, service, operation, model
        )
        select $1::uuid, date '1970-01-01' + ($2::int + i / $4::int), trace_id, s, 30, start_ns + s, start_ns + 1000 * s,
          0, md5('block' || i / 20)::uuid, date '1970-01-01' + ($2::int + i / $4::int), i % 20, i, 0, 1, true, 'chat',
          'service-' || i % 5, 'chat', 'model-' || i % 7
        from ${TRACE}
        cross join generate_series(1, 5) as s
      `,
      place,
    );
    await sql.query(
      `
        insert into rollups (
          tenant_id, tier, dimension, slot, key, traces, unpriced_traces, spans, errors, billable, unpriced, cost_pico,
          input_tokens, output_tokens, latency_ns, latency_zeros, latency_buckets, latency_counts
        )
        select $1::uuid, tier, dimension, (start_ns / length_ns)::int as slot,
          case dimension when 4 then 'user-' || i % 700 when 8 then 'model-' || i % 7 when 1 then 'service-' || i % 5 else '' end,
          count(*), 0, count(*), 0, 0, 0, sum(i), 0, 0, 0, 0, '{10,20}', '{1,1}'
        from ${TRACE}
        cross join (values (0, 60000000000), (1, 3600000000000), (2, 86400000000000), (3, 604800000000000)) as tiers (tier, length_ns)
        cross join generate_series(0, 10) as dimension
        where case when dimension in (4, 10) then tier >= 2 else tier <= 2 end
        group by 2, 3, 4, 5
      `,
      place,
    );
  });
}

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  Plans?: Plan[];
}

interface Reading {
  /** Rows that scans looked at, wanted or not. */
  rows: number;
  partitions: Set<string>;
  walked: string[];
}

/** Runs every statement as it is, and once more under EXPLAIN ANALYZE. */
function counting(sql: Sql, reading: Reading): Sql {
  return {
    door: sql.door,
    async query(text, values) {
      const { rows } = await sql.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
        `explain (analyze, costs off, timing off, format json) ${text}`,
        values,
      );
      read(rows[0]?.['QUERY PLAN'][0].Plan as Plan, reading);
      return sql.query(text, values);
    },
  };
}

function read(plan: Plan, reading: Reading): void {
  const { 'Relation Name': relation, 'Actual Loops': loops } = plan;
  if (relation !== undefined && loops > 0) {
    const passed = (plan['Rows Removed by Filter'] ?? 0) + (plan['Rows Removed by Index Recheck'] ?? 0);
    reading.rows += Math.round((plan['Actual Rows'] + passed) * loops);
    if (/^(spans|content_blocks)_/.test(relation)) reading.partitions.add(relation);
    if (plan['Node Type'] === 'Seq Scan' && /^(spans|traces|rollups)/.test(relation)) reading.walked.push(relation);
  }
  for (const inner of plan.Plans ?? []) read(inner, reading);
}

const ANY: TraceFilter = {
  fromNs: null,
  untilNs: null,
  service: null,
  model: null,
  rootService: null,
  tags: [],
  minCostPico: null,
  maxCostPico: null,
  minLatencyNs: null,
  maxLatencyNs: null,
  status: null,
  user: null,
  session: null,
  environment: null,
  endpoint: null,
  q: null,
};
const MONTH: Range = { fromNs: UNTIL_NS - BigInt(DAYS) * DAY_NS, untilNs: UNTIL_NS };
/** Neither end on the border of a minute. */
const ODD_MONTH: Range = { fromNs: MONTH.fromNs + 45_000_000_001n, untilNs: UNTIL_NS - 45_000_000_001n };
const PAGE = { after: null, limit: 51, offset: 0 };
const MIDDLE = { startNs: UNTIL_NS - 15n * DAY_NS, traceId: 'f'.repeat(32) };

interface Case {
  name: string;
  mostRows: number;
  mostPartitions: number;
  ask(sql: Sql): Promise<unknown>;
}

const list = (name: string, filter: Partial<TraceFilter>, mostRows: number): Case => ({
  name: `list ${name}`,
  mostRows,
  mostPartitions: 0,
  ask: (sql) => listTraces(sql, tenantId, { ...ANY, ...MONTH, ...filter }, PAGE),
});

/** Cells of a month per key: thirty days and what is cut at the ends. */
const CELLS_PER_KEY = DAYS + 2 * 23 + 2 * 59;

const chart = (dimension: Dimension, range: Range, mostRows: number, mostPartitions: number): Case => ({
  name: `a month of ${dimension} ${range === MONTH ? 'in whole days' : 'from within a minute'}`,
  mostRows,
  mostPartitions,
  ask: (sql) => chartCells(sql, tenantId, range, { dimension, latency: true }),
});

let someTrace = '';
let someSpans: Array<{ traceId: string; spanId: bigint }> = [];
await db.database.inTenant(tenantId, async (sql) => {
  const { rows } = await sql.query<{ id: string }>(
    `select replace(trace_id::text, '-', '') as id from traces order by start_ns offset 6000 limit 100`,
  );
  someTrace = rows[0]?.id as string;
  someSpans = rows.map(({ id }) => ({ traceId: id, spanId: 3n }));
});
const someDay = FIRST_DAY + 6_000 / TRACES_PER_DAY;

const CASES: Case[] = [
  list('newest', {}, 60),
  list('of a user', { user: 'user-3' }, 60),
  list('of a session', { session: 'session-77' }, 10),
  list('of a model', { model: 'model-3' }, 400),
  list('that failed', { status: 2 }, 2_600),
  list('by the start of an id', { q: someTrace.slice(0, 10) }, 10),
  {
    name: 'a page in the middle',
    mostRows: 60,
    mostPartitions: 0,
    ask: (sql) => listTraces(sql, tenantId, { ...ANY, ...MONTH }, { ...PAGE, after: MIDDLE }),
  },
  {
    name: 'the number of traces',
    mostRows: 1_001,
    mostPartitions: 0,
    ask: (sql) => countListed(sql, tenantId, { ...ANY, ...MONTH }, 1_000),
  },
  {
    name: 'one trace with its spans',
    mostRows: 1 + SPANS_PER_TRACE,
    mostPartitions: 1,
    async ask(sql) {
      const trace = await findTrace(sql, tenantId, someTrace);
      await spansOfTrace(sql, tenantId, someTrace, trace?.days ?? [], 100);
    },
  },
  {
    name: 'the outline of a trace',
    mostRows: SPANS_PER_TRACE,
    mostPartitions: 1,
    ask: (sql) => outlineOfTrace(sql, tenantId, someTrace, [someDay], 100),
  },
  {
    name: 'one span',
    mostRows: 1,
    mostPartitions: 1,
    ask: (sql) => findSpan(sql, tenantId, { traceId: someTrace, spanId: 2n }, [someDay]),
  },
  {
    name: 'a hundred spans that arrive again',
    mostRows: 100,
    mostPartitions: 2,
    ask: (sql) => findSpans(sql, tenantId, [someDay, someDay + 1], someSpans),
  },
  {
    name: 'a hundred traces that are met',
    mostRows: 300,
    mostPartitions: 0,
    ask: (sql) =>
      lockTraces(
        sql,
        tenantId,
        someSpans.map(({ traceId }) => traceId),
      ),
  },
  ...(Object.keys(DIMENSIONS) as Dimension[]).flatMap((dimension) => {
    // days of 400 users, and the rest of two days from the traces themselves
    if (dimension === 'user' || dimension === 'tag') {
      return [chart(dimension, MONTH, DAYS * TRACES_PER_DAY, 0), chart(dimension, ODD_MONTH, 14_000, 0)];
    }
    const keys = { model: 7, rootService: 5 }[dimension as string] ?? 1;
    return [
      chart(dimension, MONTH, keys * CELLS_PER_KEY, 0),
      chart(dimension, ODD_MONTH, keys * CELLS_PER_KEY + 2 * (1 + SPANS_PER_TRACE), 2),
    ];
  }),
  {
    name: 'exact latencies of an hour',
    mostRows: (TRACES_PER_DAY / 24) * (1 + SPANS_PER_TRACE) + 20,
    mostPartitions: 1,
    ask: (sql) =>
      exactLatencies(sql, tenantId, { fromNs: MIDDLE.startNs, untilNs: MIDDLE.startNs + 3_600_000_000_000n }, 'model'),
  },
];

async function readingOf({ ask }: Case): Promise<Reading> {
  const reading: Reading = { rows: 0, partitions: new Set(), walked: [] };
  await db.database.inTenant(tenantId, (sql) => ask(counting(sql, reading)));
  return reading;
}

async function assertBounded(when: string): Promise<void> {
  const failures: string[] = [];
  for (const each of CASES) {
    const { rows, partitions, walked } = await readingOf(each);
    if (walked.length > 0) failures.push(`${each.name}: walked ${walked.join(', ')}`);
    if (partitions.size > each.mostPartitions) failures.push(`${each.name}: read ${[...partitions].join(', ')}`);
    if (rows > each.mostRows) failures.push(`${each.name}: read ${rows} rows, more than ${each.mostRows}`);
  }
  assert.deepEqual(failures, [], when);
}

test('every question reads few rows and partitions before statistics are gathered', () => assertBounded('before'));

test('every question reads few rows and partitions with statistics', async () => {
  const client = new pg.Client(db.superuser);
  await client.connect();
  await client.query('analyze traces, spans, rollups');
  await client.end();
  await assertBounded('after');
});
