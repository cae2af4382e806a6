// Any traffic, in any order, late, repeated and replaced: what a chart says is what the list of the same time adds up to,
// and percentiles are within one per cent of the rows'.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { NOW_MS, type OtlpSpan } from '../ingest/fixtures/room.ts';
import { serve } from '../ingest/fixtures/serve.ts';

const served = await serve();
after(() => served.close());

const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const MODELS = ['gpt-4o', 'gpt-4o-mini', 'house-model'];
const SERVICES = ['shop', 'desk'];
const PICO = 1_000_000_000_000n;

interface Sent {
  trace: number;
  span: number;
  /** Before now. */
  agoMs: number;
  durationMs: number;
  model: string | undefined;
  service: string;
  user: string | undefined;
  output: number;
  status: number;
}

const sentSpan: fc.Arbitrary<Sent> = fc.record({
  trace: fc.integer({ min: 1, max: 6 }),
  span: fc.integer({ min: 1, max: 4 }),
  // from seconds to three days, so that traces cross minutes, hours and days
  agoMs: fc.oneof(fc.integer({ min: 1_000, max: 200_000 }), fc.integer({ min: 1_000, max: 250_000_000 })),
  durationMs: fc.integer({ min: 0, max: 90_000 }),
  model: fc.option(fc.constantFrom(...MODELS), { nil: undefined }),
  service: fc.constantFrom(...SERVICES),
  user: fc.option(fc.constantFrom('ada', 'bob'), { nil: undefined }),
  output: fc.integer({ min: 1, max: 9_999 }),
  status: fc.integer({ min: 0, max: 2 }),
});

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

function otlpOf({ trace, span, agoMs, durationMs, model, user, output, status }: Sent): OtlpSpan {
  const startNs = NOW_NS - BigInt(agoMs) * 1_000_000n;
  return {
    traceId: hex(trace, 32),
    spanId: hex(span, 16),
    startNs,
    endNs: startNs + BigInt(durationMs) * 1_000_000n,
    status,
    attributes: {
      ...(user === undefined ? {} : { 'user.id': user }),
      ...(model === undefined
        ? {}
        : {
            'gen_ai.operation.name': 'chat',
            'gen_ai.provider.name': 'openai',
            'gen_ai.request.model': model,
            'gen_ai.usage.input_tokens': 100,
            'gen_ai.usage.output_tokens': output,
          }),
    },
  };
}

function picoOf(usd: string): bigint {
  const [whole = '0', fraction = ''] = usd.split('.');
  return BigInt(whole) * PICO + BigInt(fraction.padEnd(12, '0'));
}

interface Item {
  cost_priced_usd: string;
  matching_cost_priced_usd?: string;
  error_count: number;
  span_count: number;
}

async function answer<Body>(tenantId: string, address: string): Promise<Body> {
  const { status, body } = await served.get<Body>(tenantId, address);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

/** What the list adds up to, read page by page. */
async function listed(tenantId: string, query: string): Promise<{ traces: number; pico: bigint; errors: number }> {
  const sum = { traces: 0, pico: 0n, errors: 0 };
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: { data: Item[]; pagination: { nextCursor: string | null } } = await answer(
      tenantId,
      `/api/traces?${query}&limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`,
    );
    for (const item of page.data) {
      sum.traces++;
      sum.pico += picoOf(item.matching_cost_priced_usd ?? item.cost_priced_usd);
      sum.errors += item.error_count;
    }
    cursor = page.pagination.nextCursor;
  }
  return sum;
}

interface Group {
  groupKey: string | null;
  totalCost: string;
  traceCount: number;
}
interface Series {
  intervalMs: number;
  series: Array<{ groupKey: string | null; points: Array<{ t: string; value: string | number }> }>;
}

const FILTERS = { model: 'model', service: 'service', user: 'user', endpoint: 'endpoint' } as const;

const range = (fromMs: number, untilMs: number): string =>
  `startDate=${new Date(fromMs).toISOString()}&endDate=${new Date(untilMs).toISOString()}`;

async function assertAgree(tenantId: string, fromMs: number, untilMs: number): Promise<void> {
  const whole = range(fromMs, untilMs);
  const rows = await listed(tenantId, whole);
  for (const [group, filter] of Object.entries(FILTERS)) {
    const cost = await answer<{ totalCost: string; traceCount: number; breakdown: Group[] }>(
      tenantId,
      `/api/analytics/cost?${whole}&groupBy=${group}`,
    );
    assert.deepEqual([picoOf(cost.totalCost), cost.traceCount], [rows.pico, rows.traces], group);
    for (const { groupKey, totalCost, traceCount } of cost.breakdown) {
      if (groupKey === null) continue;
      const own = await listed(tenantId, `${whole}&${filter}=${encodeURIComponent(groupKey)}`);
      assert.deepEqual([picoOf(totalCost), traceCount], [own.pico, own.traces], `${group} ${groupKey}`);
    }
  }
  for (const interval of [60_000, 3_600_000, 86_400_000].filter((ms) => (untilMs - fromMs) / ms <= 1_500)) {
    for (const [metric, total] of [
      ['cost', rows.pico],
      ['traces', BigInt(rows.traces) * PICO],
      ['errors', BigInt(rows.errors) * PICO],
    ] as const) {
      const { series } = await answer<Series>(
        tenantId,
        `/api/analytics/series?${whole}&metric=${metric}&interval=${interval}`,
      );
      const points = (series[0]?.points ?? []).filter(({ value }) => Number(value) !== 0);
      assert.equal(
        points.reduce((sum, { value }) => sum + picoOf(String(value)), 0n),
        total,
        `${metric} by ${interval}`,
      );
      for (const { t, value } of metric === 'cost' ? points : []) {
        const at = Date.parse(t);
        const bar = await listed(tenantId, range(Math.max(at, fromMs), Math.min(at + interval, untilMs)));
        assert.equal(picoOf(String(value)), bar.pico, `the bar at ${t}`);
      }
    }
  }
}

test('charts, their bars and their groups are what the lists behind them add up to', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(sentSpan, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 260_000_000 }),
      fc.integer({ min: 0, max: 100_000 }),
      async (batches, lengthMs, endAgoMs) => {
        const tenantId = await served.newTenant();
        for (const batch of batches) {
          for (const [service, own] of Map.groupBy(batch, (sent) => sent.service)) {
            await served.send(tenantId, own.map(otlpOf), { 'service.name': service });
          }
        }
        await assertAgree(tenantId, NOW_MS - 300_000_000, NOW_MS);
        // neither end on the border of a minute
        await assertAgree(tenantId, NOW_MS - endAgoMs - lengthMs, NOW_MS - endAgoMs);
      },
    ),
    { numRuns: 6 },
  );
});

test('percentiles beyond five thousand spans are within one per cent of the rows', async () => {
  const tenantId = await served.newTenant();
  const durations: number[] = [];
  for (let batch = 0; batch < 7; batch++) {
    const spans = Array.from({ length: 1_000 }, (_, i) => {
      // from a millisecond to a minute, most of them short
      const durationMs = Math.exp(((i * 7 + batch * 13) % 1_000) / 90.5);
      durations.push(durationMs);
      const startNs = NOW_NS - BigInt(600 + i) * 1_000_000_000n;
      const endNs = startNs + BigInt(Math.round(durationMs * 1e6));
      return { traceId: hex(batch * 1_000 + i + 1, 32), spanId: hex(i + 1, 16), startNs, endNs };
    });
    await served.send(tenantId, spans, { 'service.name': 'shop' });
  }
  durations.sort((a, b) => a - b);
  const exact = (q: number): number => {
    const rank = q * (durations.length - 1);
    const below = durations[Math.floor(rank)] as number;
    return below + (rank - Math.floor(rank)) * ((durations[Math.ceil(rank)] as number) - below);
  };
  const body = await answer<Record<string, number> & { breakdown: Array<Record<string, number>> }>(
    tenantId,
    '/api/analytics/latency?timeRange=24h&groupBy=service',
  );
  for (const figures of [body, body.breakdown[0] as Record<string, number>]) {
    assert.equal(figures['count'], 7_000);
    for (const [name, q] of [
      ['p50Latency', 0.5],
      ['p95Latency', 0.95],
      ['p99Latency', 0.99],
    ] as const) {
      const off = Math.abs((figures[name] as number) / exact(q) - 1);
      assert.ok(off <= 0.01 + 1e-9, `${name} is ${off} off`);
    }
    const mean = durations.reduce((sum, ms) => sum + ms, 0) / durations.length;
    assert.ok(Math.abs((figures['avgLatency'] as number) / mean - 1) < 1e-6);
  }
});
