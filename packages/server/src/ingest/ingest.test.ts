// Whatever arrives, in whatever order and how often: rows, summaries and rollups agree with a plain model in memory.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { Sql } from '../storage/database.ts';
import { compactRollups } from '../storage/postgres/rollups.ts';
import { NOW_MS, testRoom, type OtlpSpan } from './fixtures/room.ts';

const room = await testRoom();
after(() => room.close());

const DAY_NS = 86_400_000_000_000n;
const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
/** Pico-dollars per token, from the price list of OpenAI: gpt-4o $2.50 / $10, gpt-4o-mini $0.15 / $0.60 per million. */
const PRICES: Record<string, { input: bigint; output: bigint } | undefined> = {
  'gpt-4o': { input: 2_500_000n, output: 10_000_000n },
  'gpt-4o-mini': { input: 150_000n, output: 600_000n },
};

interface Sent {
  trace: number;
  span: number;
  parent: number | undefined;
  day: number;
  offsetMs: number;
  durationUs: number;
  status: number;
  model: string | undefined;
  input: number;
  output: number;
  user: string | undefined;
  tag: string | undefined;
  prompt: string;
}

const sentSpan: fc.Arbitrary<Sent> = fc.record({
  trace: fc.integer({ min: 1, max: 3 }),
  span: fc.integer({ min: 1, max: 5 }),
  parent: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  day: fc.integer({ min: 0, max: 2 }),
  offsetMs: fc.integer({ min: 0, max: 100_000 }),
  durationUs: fc.integer({ min: 0, max: 5_000_000 }),
  status: fc.integer({ min: 0, max: 2 }),
  model: fc.option(fc.constantFrom('gpt-4o', 'gpt-4o-mini', 'house-model'), { nil: undefined }),
  input: fc.integer({ min: 1, max: 100_000 }),
  output: fc.integer({ min: 1, max: 10_000 }),
  user: fc.option(fc.constantFrom('ada', 'bob'), { nil: undefined }),
  tag: fc.option(fc.constantFrom('x', 'y', '"{},\\'), { nil: undefined }),
  prompt: fc.string({ maxLength: 20 }),
});

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
const startOf = ({ day, offsetMs }: Sent): bigint => NOW_NS - BigInt(day) * DAY_NS - BigInt(offsetMs) * 1_000_000n;
const endOf = (sent: Sent): bigint => startOf(sent) + BigInt(sent.durationUs) * 1_000n;

function otlpOf(sent: Sent): OtlpSpan {
  const { trace, span, parent, status, model, input, output, user, tag, prompt } = sent;
  return {
    traceId: hex(trace, 32),
    spanId: hex(span, 16),
    ...(parent === undefined ? {} : { parentSpanId: hex(parent, 16) }),
    name: `span ${span}`,
    startNs: startOf(sent),
    endNs: endOf(sent),
    status,
    attributes: {
      ...(model === undefined
        ? {}
        : {
            'gen_ai.operation.name': 'chat',
            'gen_ai.provider.name': 'openai',
            'gen_ai.request.model': model,
            'gen_ai.usage.input_tokens': input,
            'gen_ai.usage.output_tokens': output,
          }),
      ...(user === undefined ? {} : { 'user.id': user }),
      ...(tag === undefined ? {} : { 'lumina.tags': [tag] }),
      prompt,
    },
  };
}

interface Expected {
  trace: string;
  spans: number;
  billable: number;
  unpriced: number;
  errors: number;
  cost: string;
  input: string;
  start: string;
  end: string;
  name: string;
  user: string | null;
  tags: string[];
  models: string[];
}

/** A root before others, then the earliest, then the smaller id. */
function inOrder(spans: readonly Sent[]): Sent[] {
  return [...spans].sort(
    (a, b) =>
      Number(a.parent !== undefined) - Number(b.parent !== undefined) ||
      Number(startOf(a) - startOf(b)) ||
      a.span - b.span,
  );
}

function expectedOf(kept: readonly Sent[]): Expected[] {
  const traces = Map.groupBy(kept, ({ trace }) => trace);
  return [...traces].map(([trace, spans]) => {
    const calls = spans.filter(({ model }) => model !== undefined);
    const ordered = inOrder(spans);
    let cost = 0n;
    for (const { model, input, output } of calls) {
      const price = PRICES[model ?? ''];
      if (price !== undefined) cost += BigInt(input) * price.input + BigInt(output) * price.output;
    }
    const times = spans.map((sent) => ({ start: startOf(sent), end: endOf(sent) }));
    return {
      trace: hex(trace, 32),
      spans: spans.length,
      billable: calls.length,
      unpriced: calls.filter(({ model }) => PRICES[model ?? ''] === undefined).length,
      errors: spans.filter(({ status }) => status === 2).length,
      cost: String(cost),
      input: String(calls.reduce((sum, { input }) => sum + input, 0)),
      start: String(times.reduce((least, { start }) => (start < least ? start : least), times[0]?.start ?? 0n)),
      end: String(times.reduce((most, { end }) => (end > most ? end : most), 0n)),
      name: `span ${ordered[0]?.span}`,
      user: ordered.find(({ user }) => user !== undefined)?.user ?? null,
      tags: [...new Set(spans.flatMap(({ tag }) => tag ?? []))].sort(),
      models: [...new Set(spans.flatMap(({ model }) => model ?? []))].sort(),
    };
  });
}

async function summaries(sql: Sql): Promise<Expected[]> {
  const { rows } = await sql.query<Expected>(`
    select
      replace(trace_id::text, '-', '') as trace, span_count as spans, billable_count as billable,
      unpriced_count as unpriced, error_count as errors, cost_pico::text as cost, input_tokens::text as input,
      start_ns::text as start, end_ns::text as end, name, user_id as user, tags, models
    from traces
    order by trace_id`);
  return rows;
}

const byTrace = (a: Expected, b: Expected): number => (a.trace < b.trace ? -1 : 1);

const MIGRATION = readFileSync(new URL('../migrations/0009_scale.sql', import.meta.url), 'utf8');
/** The statement by which an upgrade counts what is there already: rollups from rows, written without this room. */
const COUNTED_FROM_ROWS =
  /^with counted as[^;]*/m.exec(MIGRATION)?.[0].replace(/insert into rollups \([^)]*\)/, '') ?? '';

async function cells(sql: Sql): Promise<unknown[]> {
  const { rows } = await sql.query(`
    with cell as (
      select tier, dimension, slot, key, sum(traces) as traces, sum(unpriced_traces) as unpriced_traces,
        sum(spans) as spans, sum(errors) as errors, sum(billable) as billable, sum(unpriced) as unpriced,
        sum(cost_pico) as cost_pico, sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens,
        sum(latency_ns) as latency_ns, sum(latency_zeros) as latency_zeros
      from rollups
      group by tier, dimension, slot, key
      having sum(spans) <> 0 or sum(traces) <> 0
    ), filled as (
      select tier, dimension, slot, key, bucket, sum(count) as count
      from rollups, unnest(latency_buckets, latency_counts) as filled (bucket, count)
      group by tier, dimension, slot, key, bucket
      having sum(count) <> 0
    )
    select cell.*,
      array(
        select bucket || ':' || count
        from filled
        where (filled.tier, filled.dimension, filled.slot, filled.key) = (cell.tier, cell.dimension, cell.slot, cell.key)
        order by bucket
      )::text as sketch
    from cell
    order by tier, dimension, slot, key`);
  return rows.map(asText);
}

async function cellsFromRows(sql: Sql): Promise<unknown[]> {
  const { rows } = await sql.query(`
    select tier, dimension, slot, key, traces, unpriced_traces, spans, errors, billable, unpriced, cost_pico,
      input_tokens, output_tokens, latency_ns, latency_zeros,
      array(select bucket || ':' || count from unnest(buckets, counts) as filled (bucket, count))::text as sketch
    from (${COUNTED_FROM_ROWS}) as counted (
      tenant_id, tier, dimension, slot, key, traces, unpriced_traces, spans, errors, billable, unpriced, cost_pico,
      input_tokens, output_tokens, latency_ns, latency_zeros, buckets, counts
    )
    order by tier, dimension, slot, key`);
  return rows.map(asText);
}

const asText = (row: object): unknown =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)]));

const ALL_TIME = { from: 0, until: 40_000_000, settled: 40_000_000 };

test('random inserts, repetitions, replacements and late spans leave rows, summaries and rollups in agreement', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(sentSpan, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 }),
      async (batches) => {
        const tenantId = await room.newTenant();
        const kept = new Map<string, Sent>();
        // The order of arrival is the order of the calls; what arrives while another request is written is grouped.
        const answers = batches.map((batch) => room.send(tenantId, batch.map(otlpOf)));
        for (const sent of batches.flat()) kept.set(`${sent.trace}/${sent.span}`, sent);
        await Promise.all(answers);
        // and once more, all of it as it is now
        await room.send(tenantId, [...kept.values()].map(otlpOf));
        await room.db.database.inTenant(tenantId, async (sql) => {
          assert.deepEqual(await summaries(sql), expectedOf([...kept.values()]).sort(byTrace));
          const fromRows = await cellsFromRows(sql);
          assert.deepEqual(await cells(sql), fromRows);
          await compactRollups(sql, tenantId, ALL_TIME);
          assert.deepEqual(await cells(sql), fromRows);
        });
      },
    ),
    { numRuns: 60 },
  );
});

const START = NOW_NS - 3_600_000_000_000n;
const TRACE = '0af7651916cd43dd8448eb211c80319c';

function call(overrides: Partial<OtlpSpan> = {}): OtlpSpan {
  return {
    traceId: TRACE,
    spanId: 'b7ad6b7169203331',
    name: 'chat gpt-4o',
    startNs: START,
    endNs: START + 1_500_000_000n,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-4o',
      'gen_ai.usage.input_tokens': 1_000,
      'gen_ai.usage.output_tokens': 500,
    },
    ...overrides,
  };
}

const traceOf = (i: number): OtlpSpan => call({ traceId: hex(i, 32) });

async function sums(tenantId: string): Promise<Record<string, string>> {
  return room.db.database.inTenant(tenantId, async (sql) => {
    const { rows } = await sql.query<Record<string, string>>(`
      select
        (select count(*) from spans)::text as spans, (select sum(cost_pico) from spans)::text as cost,
        (select sum(cost_pico) from traces)::text as traced, (select sum(cost_pico) from rollups where tier = 0 and dimension = 6)::text as rolled,
        (select sum(spans) from rollups where tier = 0 and dimension = 6)::text as counted`);
    return rows[0] as Record<string, string>;
  });
}

test('the same span again has no effect, and is counted', async () => {
  const tenantId = await room.newTenant();
  const before = room.ingest.counts();
  await room.send(tenantId, [call()]);
  await room.send(tenantId, [call()]);
  await room.send(tenantId, [call(), call()]);
  const counts = room.ingest.counts();
  assert.equal(counts.stored - before.stored, 1);
  assert.equal(counts.duplicates - before.duplicates, 3);
  assert.equal(counts.replaced - before.replaced, 0);
  assert.deepEqual(await sums(tenantId), {
    spans: '1',
    cost: '7500000000',
    traced: '7500000000',
    rolled: '7500000000',
    counted: '1',
  });
});

test('other content under the same id replaces the span and its cost, also when it starts on another day', async () => {
  const tenantId = await room.newTenant();
  const before = room.ingest.counts();
  await room.send(tenantId, [call()]);
  const moved = START - 2n * DAY_NS;
  const other = call({ startNs: moved, endNs: moved + 1n });
  await room.send(tenantId, [{ ...other, attributes: { ...other.attributes, 'gen_ai.usage.input_tokens': 2_000 } }]);
  assert.equal(room.ingest.counts().replaced - before.replaced, 1);
  assert.deepEqual(await sums(tenantId), {
    spans: '1',
    cost: '10000000000',
    traced: '10000000000',
    rolled: '10000000000',
    counted: '1',
  });
});

test('requests that carry the same spans at the same time are written as if one after the other', async () => {
  const tenantId = await room.newTenant();
  const versions = Array.from({ length: 20 }, (_, i) => call({ name: `version ${i}` }));
  await Promise.all(versions.map((version) => room.send(tenantId, [version])));
  const { rows } = await room.db.database.inTenant(tenantId, (sql) => sql.query('select name from spans'));
  assert.deepEqual(rows, [{ name: 'version 19' }]);
  assert.equal((await sums(tenantId)).traced, '7500000000');
});

test('spans older than the retention or more than a day ahead are rejected by name, the others kept', async () => {
  const tenantId = await room.newTenant({ retentionClass: 7 });
  const old = NOW_NS - 7n * DAY_NS - 1n;
  const ahead = NOW_NS + DAY_NS + 1n;
  const outcome = await room.send(tenantId, [
    call(),
    call({ spanId: '0000000000000002', startNs: old, endNs: old }),
    call({ spanId: '0000000000000003', startNs: ahead, endNs: ahead }),
  ]);
  assert.equal(outcome.rejectedSpans, 2);
  assert.match(outcome.messages.join(), /2 spans began more than 7 days ago/);
  assert.equal((await sums(tenantId)).spans, '1');
});

test('the trace over the daily limit is refused whole until midnight, while known traces go on', async () => {
  const tenantId = await room.newTenant({ tracesPerDay: 2 });
  await room.send(tenantId, [traceOf(1)]);
  const over = await room.send(tenantId, [traceOf(2), traceOf(3)]).catch((error: unknown) => error);
  assert.equal((over as { code?: string }).code, 'RATE_LIMIT_EXCEEDED');
  assert.equal((over as { retryAfterSeconds?: number }).retryAfterSeconds, 12 * 3_600);
  assert.equal((await sums(tenantId)).spans, '1', 'nothing of the refused request is stored');
  await room.send(tenantId, [traceOf(2)]);
  await assert.rejects(room.send(tenantId, [traceOf(3)]), { code: 'RATE_LIMIT_EXCEEDED' });
  await room.send(tenantId, [{ ...traceOf(2), spanId: '00000000000000aa' }]);
  assert.equal((await sums(tenantId)).spans, '3');
  room.clock.nowMs += 43_200_000;
  await room.send(tenantId, [traceOf(3)]);
  room.clock.nowMs = NOW_MS;
});

test('of many requests at the daily limit as many are taken as the limit allows', async () => {
  const tenantId = await room.newTenant({ tracesPerDay: 5 });
  const answers = await Promise.allSettled(
    Array.from({ length: 12 }, (_, i) => room.send(tenantId, [call({ traceId: hex(i + 1, 32) })])),
  );
  assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 5);
  assert.equal((await sums(tenantId)).spans, '5');
});

test('nothing that was said is stored in clear', async () => {
  const tenantId = await room.newTenant();
  const canary = 'canary-7f3a-prompt';
  const messages = JSON.stringify([{ role: 'user', parts: [{ type: 'text', content: canary }] }]);
  await room.send(tenantId, [
    call({
      attributes: { ...call().attributes, 'gen_ai.input.messages': messages, 'lumina.metadata': `{"k":"${canary}"}` },
    }),
  ]);
  const found = await room.db.database.inTenant(tenantId, async (sql) => {
    const tables = ['spans', 'traces', 'content_blocks', 'rollups', 'usage'];
    const texts: string[] = [];
    for (const table of tables) {
      const { rows } = await sql.query<{ text: string }>(`select row_to_json(t)::text as text from ${table} t`);
      texts.push(...rows.map(({ text }) => text));
    }
    return texts;
  });
  assert.ok(found.length >= 5);
  const asHex = Buffer.from(canary).toString('hex');
  assert.deepEqual(
    found.filter((text) => text.includes(canary) || text.includes(asHex)),
    [],
  );
});

test('the redactor sees every span before it is stored, and a repetition stays one', async () => {
  const redacting = await testRoom({
    redactorOf: () =>
      Promise.resolve({
        redactSpans(spans) {
          for (const span of spans) delete span.attributes['secret'];
          return spans;
        },
      }),
  });
  try {
    const tenantId = await redacting.newTenant();
    const span = call({ attributes: { ...call().attributes, secret: 'x' } });
    await redacting.send(tenantId, [span]);
    await redacting.send(tenantId, [span]);
    assert.equal(redacting.ingest.counts().duplicates, 1);
  } finally {
    await redacting.close();
  }
});
