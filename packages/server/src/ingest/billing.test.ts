// One call is billed once in rows, summaries and rollups, in whatever order and batches the spans that describe it come.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { notBilled } from '@lumatrace/telemetry';
import fc from 'fast-check';
import type { Sql } from '../storage/database.ts';
import { DIMENSIONS, TIERS } from '../storage/postgres/rollups.ts';
import { NOW_MS, testRoom, type OtlpSpan } from './fixtures/room.ts';

const room = await testRoom();
after(() => room.close());

const TRACE = 'a'.repeat(32);
const NOW_NS = BigInt(NOW_MS) * 1_000_000n;

interface Sent {
  id: number;
  parent: number | undefined;
  fromMs: number;
  input: number | undefined;
  output: number | undefined;
  cached: number | undefined;
  response: string | undefined;
  name: string;
  isCall: boolean;
}

const sentSpan: fc.Arbitrary<Sent> = fc.record({
  id: fc.integer({ min: 1, max: 7 }),
  parent: fc.option(fc.integer({ min: 1, max: 7 }), { nil: undefined }),
  fromMs: fc.constantFrom(0, 1, 2, 70_000),
  input: fc.option(fc.integer({ min: 1, max: 2 }), { nil: undefined }),
  output: fc.option(fc.constant(1), { nil: undefined }),
  cached: fc.option(fc.constant(1), { nil: undefined }),
  response: fc.option(fc.constantFrom('r1', 'r2'), { nil: undefined }),
  name: fc.constantFrom('chat', 'ai.generateText', 'ai.generateText.doGenerate'),
  isCall: fc.boolean(),
});

const hexId = (id: number): string => id.toString(16).padStart(16, '0');

function otlpOf({ id, parent, fromMs, input, output, cached, response, name, isCall }: Sent): OtlpSpan {
  const startNs = NOW_NS - 1_000_000_000n + BigInt(fromMs) * 1_000_000n;
  return {
    traceId: TRACE,
    spanId: hexId(id),
    ...(parent === undefined ? {} : { parentSpanId: hexId(parent) }),
    name,
    startNs,
    endNs: startNs + 50_000_000n,
    attributes: isCall
      ? {
          'gen_ai.operation.name': 'chat',
          'gen_ai.provider.name': 'openai',
          'gen_ai.request.model': 'gpt-4o',
          ...(input !== undefined && { 'gen_ai.usage.input_tokens': input }),
          ...(output !== undefined && { 'gen_ai.usage.output_tokens': output }),
          ...(cached !== undefined && { 'gen_ai.usage.cache_read.input_tokens': cached }),
          ...(response !== undefined && { 'gen_ai.response.id': response }),
        }
      : {},
  };
}

interface Stored {
  spanId: string;
  by: string | null;
  billable: boolean;
  cost: string | null;
  input: string | null;
}

async function stored(sql: Sql): Promise<Stored[]> {
  const { rows } = await sql.query<Stored>(`
    select span_id::text as "spanId", repeats_span_id::text as by, billable, cost_pico::text as cost,
      input_tokens::text as input
    from spans
    order by span_id`);
  return rows;
}

async function sums(sql: Sql): Promise<{ summary: unknown; rollup: unknown }> {
  const { rows: summary } = await sql.query(`
    select billable_count::text as billable, unpriced_count::text as unpriced, cost_pico::text as cost,
      input_tokens::text as input
    from traces`);
  const { rows: rollup } = await sql.query(
    `
      select sum(billable)::text as billable, sum(unpriced)::text as unpriced, sum(cost_pico)::text as cost,
        sum(input_tokens)::text as input
      from rollups
      where dimension = $1 and tier = $2
    `,
    [DIMENSIONS.spans, TIERS.minute],
  );
  return { summary: summary[0], rollup: rollup[0] };
}

/** What the pure function decides about the spans that were sent last. */
function expectedOf(sent: readonly Sent[]): Map<string, string | null> {
  const last = new Map(sent.map((each) => [each.id, each]));
  const found = notBilled(
    [...last.values()].map((each) => ({
      spanId: BigInt(each.id),
      parentSpanId: each.parent === undefined ? null : BigInt(each.parent),
      startNs: BigInt(each.fromMs) * 1_000_000n,
      endNs: BigInt(each.fromMs + 50) * 1_000_000n,
      isCall: each.isCall,
      name: each.name,
      operation: each.isCall ? 'chat' : null,
      model: each.isCall ? 'gpt-4o' : null,
      response: each.response ?? null,
      inputTokens: each.input ?? null,
      outputTokens: each.output ?? null,
      cacheReadTokens: each.cached ?? null,
      cacheCreationTokens: null,
      reasoningTokens: null,
    })),
  );
  return new Map([...last.keys()].map((id) => [String(id), found.get(BigInt(id))?.by.toString() ?? null]));
}

test('any order and any batches of the spans of a trace end in the same bills', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(sentSpan, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 }),
      async (batches) => {
        const tenantId = await room.newTenant();
        for (const batch of batches) await room.send(tenantId, batch.map(otlpOf));
        const { rows, summary, rollup } = await room.db.database.inTenant(tenantId, async (sql) => ({
          rows: await stored(sql),
          ...(await sums(sql)),
        }));
        const expected = expectedOf(batches.flat());
        assert.deepEqual(new Map(rows.map(({ spanId, by }) => [spanId, by])), expected);
        const billed = rows.filter(({ billable }) => billable);
        const total = {
          billable: String(billed.length),
          unpriced: String(billed.filter(({ cost }) => cost === null).length),
          cost: String(billed.reduce((sum, { cost }) => sum + BigInt(cost ?? 0), 0n)),
          input: String(billed.reduce((sum, { input }) => sum + BigInt(input ?? 0), 0n)),
        };
        assert.deepEqual({ summary, rollup }, { summary: total, rollup: total });
      },
    ),
    { numRuns: 120 },
  );
});

test('a span that is left out is billed again when the one that stood for it turns out to be none', async () => {
  const tenantId = await room.newTenant();
  const outer: Sent = {
    id: 1,
    parent: undefined,
    fromMs: 0,
    input: 2,
    output: 1,
    cached: undefined,
    response: undefined,
    name: 'chat',
    isCall: true,
  };
  const inner: Sent = { ...outer, id: 2, parent: 1, fromMs: 1 };
  await room.send(tenantId, [otlpOf(inner)]);
  await room.send(tenantId, [otlpOf(outer)]);
  const before = await room.db.database.inTenant(tenantId, stored);
  assert.deepEqual(
    before.map(({ by, billable }) => [by, billable]),
    [
      ['2', false],
      [null, true],
    ],
  );
  await room.send(tenantId, [otlpOf({ ...inner, isCall: false })]);
  const rows = await room.db.database.inTenant(tenantId, stored);
  assert.deepEqual(
    rows.map(({ by, billable }) => [by, billable]),
    [
      [null, true],
      [null, false],
    ],
  );
});
