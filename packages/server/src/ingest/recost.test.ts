// Stored spans priced again: every cell of every chart stays what the rows add up to, also for spans that come after.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { bundledPrices, type PriceOverride } from '@lumatrace/telemetry';
import { NOW_MS, testRoom, type OtlpSpan } from './fixtures/room.ts';
import type { RecostBatch } from '../storage/postgres/prices.ts';
import { recostBatch } from './recost.ts';

const room = await testRoom();
after(() => room.close());

const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const SECOND_NS = 1_000_000_000n;
const MIGRATION = readFileSync(new URL('../migrations/0009_scale.sql', import.meta.url), 'utf8');
/** The statement by which an upgrade counts what is there already: rollups from rows, written without this room. */
const COUNTED_FROM_ROWS =
  /^with counted as[^;]*/m.exec(MIGRATION)?.[0].replace(/insert into rollups \([^)]*\)/, '') ?? '';
const SUMS = [
  'traces',
  'unpriced_traces',
  'spans',
  'errors',
  'billable',
  'unpriced',
  'cost_pico',
  'input_tokens',
  'output_tokens',
  'latency_ns',
  'latency_zeros',
] as const;

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** Spans of 25 traces with parents, models with and without a price, users and tags. */
function spanOf(batch: number, i: number): OtlpSpan {
  const id = batch * 100 + i + 1;
  return {
    traceId: hex((i % 25) + 1, 32),
    spanId: hex(id, 16),
    ...(i % 3 !== 0 && { parentSpanId: hex(id - 1, 16) }),
    name: 'chat',
    startNs: NOW_NS - BigInt((i * 7 + batch * 13) % 5_000) * SECOND_NS,
    endNs: NOW_NS,
    status: i % 4 === 0 ? 2 : 1,
    attributes:
      i % 5 === 4
        ? {}
        : {
            'gen_ai.operation.name': 'chat',
            'gen_ai.provider.name': 'openai',
            'gen_ai.request.model': i % 4 === 0 ? 'house-7b' : 'gpt-4o',
            'gen_ai.usage.input_tokens': (i % 3) + 1,
            'gen_ai.usage.output_tokens': 1,
            'user.id': `user ${i % 3}`,
            'lumina.tags': [`tag ${i % 2}`],
          },
  };
}

async function assertChartsAgree(tenantId: string, when: string): Promise<void> {
  const { charts, rows } = await room.db.database.inTenant(tenantId, async (sql) => ({
    charts: await sql.query(`
      select tier, dimension, slot, key, ${SUMS.map((sum) => `sum(${sum})::text as ${sum}`).join(', ')}
      from rollups
      group by tier, dimension, slot, key
      having sum(spans) <> 0 or sum(traces) <> 0
      order by tier, dimension, slot, key`),
    rows: await sql.query(`
      select tier, dimension, slot, key, ${SUMS.map((sum) => `${sum}::text`).join(', ')}
      from (${COUNTED_FROM_ROWS}) as counted (
        tenant_id, tier, dimension, slot, key, ${SUMS.join(', ')}, buckets, counts
      )
      order by tier, dimension, slot, key`),
  }));
  assert.ok(charts.rows.length > 20);
  assert.deepEqual(charts.rows, rows.rows, when);
}

async function totals(tenantId: string): Promise<unknown> {
  const { rows } = await room.db.database.inTenant(tenantId, (sql) =>
    sql.query('select sum(cost_pico)::text as cost, sum(unpriced_count)::int as unpriced from traces'),
  );
  return rows[0];
}

test('every cell of every chart is what the rows add up to: before, after, and with what comes late', async () => {
  const tenantId = await room.newTenant();
  for (let batch = 0; batch < 6; batch++) {
    await room.send(
      tenantId,
      Array.from({ length: 60 }, (_, i) => spanOf(batch, i)),
    );
  }
  await assertChartsAgree(tenantId, 'before');
  const before = await totals(tenantId);

  const key = await room.tenantKeys.forTenant(tenantId);
  const list: PriceOverride[] = [
    { id: 'house', model: { starts_with: 'house' }, prices: { input_mtok: '1', output_mtok: '2' } },
    { id: 'deal', model: { equals: 'gpt-4o' }, prices: { input_mtok: '7' } },
  ];
  const prices = bundledPrices().with({ version: '1', list });
  const range = { fromNs: 0n, untilNs: 2n * NOW_NS };
  const sum = { changed: 0, oldPico: 0n, newPico: 0n };
  for (let last: RecostBatch['last'] = null; ;) {
    const batch: RecostBatch = await recostBatch(room.db.database, tenantId, range, last, {
      key,
      prices,
      isDryRun: false,
      traces: 7,
    });
    sum.changed += batch.changed;
    sum.oldPico += batch.oldPico;
    sum.newPico += batch.newPico;
    last = batch.last;
    if (last === null) break;
  }
  await assertChartsAgree(tenantId, 'after');
  assert.deepEqual(
    [before, await totals(tenantId)],
    [
      { cost: String(sum.oldPico), unpriced: 72 },
      { cost: String(sum.newPico), unpriced: 0 },
    ],
  );
  assert.ok(sum.changed > 200);

  await room.send(
    tenantId,
    Array.from({ length: 25 }, (_, i) => ({
      ...spanOf(90, i),
      traceId: hex(i + 1, 32),
      startNs: NOW_NS - 9_000n * SECOND_NS,
      attributes: {},
    })),
  );
  await assertChartsAgree(tenantId, 'late');
});
