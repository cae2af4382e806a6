// The questions of the contract over a real socket, each figure checked against what was sent.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { NOW_MS, type OtlpSpan } from '../ingest/fixtures/room.ts';
import { serve } from '../ingest/fixtures/serve.ts';
import { instantOf } from './telemetry.ts';

const served = await serve();
after(() => served.close());

const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const MINUTE_NS = 60_000_000_000n;
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

interface Item {
  trace_id: string;
  span_id: string;
  parent_span_id: string | null;
  name: string;
  service_name: string;
  model: string | null;
  provider: string | null;
  prompt: string | null;
  response: string | null;
  cost_usd: string | null;
  cost_priced_usd: string;
  latency_ms: number;
  prompt_tokens: number;
  completion_tokens: number;
  status: string;
  tags: string[];
  metadata: unknown;
  timestamp: string;
  user_id: string | null;
  session_id: string | null;
  span_count: number;
}
interface Page {
  data: Item[];
  pagination: { total?: number; limit: number; offset?: number; nextCursor: string | null; hasMore: boolean };
}

interface Call {
  trace: number;
  minutesAgo: number;
  model?: string;
  input?: number;
  output?: number;
  service?: string;
  durationMs?: number;
  status?: number;
  attributes?: OtlpSpan['attributes'];
}

const say = (role: string, content: string): string => JSON.stringify([{ role, parts: [{ type: 'text', content }] }]);

/** A root with one model call below it. */
function conversation(call: Call): OtlpSpan[] {
  const { trace, minutesAgo, model = 'gpt-4o', input = 1_000, output = 500, durationMs = 1_000, status } = call;
  const startNs = NOW_NS - BigInt(minutesAgo) * MINUTE_NS;
  const endNs = startNs + BigInt(durationMs) * 1_000_000n;
  const traceId = hex(trace, 32);
  return [
    {
      traceId,
      spanId: hex(1, 16),
      name: `ask ${trace}`,
      startNs,
      endNs,
      ...(status === undefined ? {} : { status }),
      ...(call.attributes === undefined ? {} : { attributes: call.attributes }),
    },
    {
      traceId,
      spanId: hex(2, 16),
      parentSpanId: hex(1, 16),
      name: `chat ${model}`,
      startNs: startNs + 1n,
      endNs: endNs - 1n,
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': model,
        'gen_ai.usage.input_tokens': input,
        'gen_ai.usage.output_tokens': output,
        'gen_ai.input.messages': say('user', `question ${trace}`),
        'gen_ai.output.messages': say('assistant', `answer ${trace}`),
      },
    },
  ];
}

async function fill(calls: readonly Call[], tenantId?: string): Promise<string> {
  const tenant = tenantId ?? (await served.newTenant());
  for (const call of calls) {
    await served.send(tenant, conversation(call), {
      'service.name': call.service ?? 'shop',
      'deployment.environment.name': 'prod',
    });
  }
  return tenant;
}

const list = async (tenantId: string, query = ''): Promise<Page> => {
  const { status, body } = await served.get<Page>(tenantId, `/api/traces${query}`);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
};
const idsOf = (page: Page): number[] => page.data.map(({ trace_id }) => Number.parseInt(trace_id, 16));

// before the first test: what is awaited between tests would end the run
const filtered = await fill([
  {
    trace: 1,
    minutesAgo: 50,
    service: 'shop',
    durationMs: 100,
    attributes: { 'user.id': 'ada', 'lumina.tags': ['x'] },
  },
  { trace: 2, minutesAgo: 40, service: 'desk', model: 'gpt-4o-mini', attributes: { 'lumina.tags': ['x', 'y'] } },
  { trace: 3, minutesAgo: 30, service: 'shop', status: 2, durationMs: 5_000 },
  { trace: 4, minutesAgo: 20, service: 'desk', model: 'house-model', attributes: { 'session.id': 's_1' } },
  { trace: 5, minutesAgo: 10, service: 'shop', input: 100_000, status: 1 },
]);

test('an item carries the root, the first call where the root says nothing, and exact sums', async () => {
  const attributes = {
    'user.id': 'ada',
    'session.id': 's-1',
    'lumina.tags': ['x', 'y'],
    'lumina.metadata': '{"plan":"pro"}',
  };
  const tenantId = await fill([{ trace: 1, minutesAgo: 5, attributes, durationMs: 1_234 }]);
  const { data, pagination } = await list(tenantId);
  assert.deepEqual(pagination, { total: 1, limit: 50, nextCursor: null, hasMore: false });
  const { trace_id: _id, ...item } = data[0] as Item;
  assert.deepEqual(item, {
    span_id: hex(1, 16),
    parent_span_id: null,
    name: 'ask 1',
    service_name: 'shop',
    model: 'gpt-4o',
    provider: 'openai',
    prompt: 'question 1',
    response: 'answer 1',
    cost_usd: '0.0075',
    cost_priced_usd: '0.0075',
    latency_ms: 1_234,
    prompt_tokens: 1_000,
    completion_tokens: 500,
    status: 'unset',
    tags: ['x', 'y'],
    metadata: { plan: 'pro' },
    timestamp: '2026-11-23T11:55:00.000Z',
    user_id: 'ada',
    session_id: 's-1',
    span_count: 2,
    environment: 'prod',
    endpoint: 'ask 1',
    start_ns: String(NOW_NS - 5n * MINUTE_NS),
    end_ns: String(NOW_NS - 5n * MINUTE_NS + 1_234_000_000n),
    error_count: 0,
    billable_count: 1,
    unpriced_count: 0,
  });
});

test('until the root comes the earliest span stands for the trace', async () => {
  const tenantId = await served.newTenant();
  const [root, call] = conversation({ trace: 1, minutesAgo: 5 }) as [OtlpSpan, OtlpSpan];
  await served.send(tenantId, [call]);
  const before = (await list(tenantId)).data[0];
  assert.deepEqual([before?.name, before?.parent_span_id, before?.span_count], ['chat gpt-4o', hex(1, 16), 1]);
  await served.send(tenantId, [root]);
  const after = (await list(tenantId)).data[0];
  assert.deepEqual([after?.name, after?.parent_span_id, after?.span_count], ['ask 1', null, 2]);
  assert.deepEqual([after?.prompt, after?.cost_usd], ['question 1', '0.0075']);
});

test('an unpriced call makes the cost unknown and keeps what is priced visible', async () => {
  const tenantId = await served.newTenant();
  const [root, priced] = conversation({ trace: 1, minutesAgo: 5 }) as [OtlpSpan, OtlpSpan];
  const unpriced = {
    ...priced,
    spanId: hex(3, 16),
    attributes: { ...priced.attributes, 'gen_ai.request.model': 'house-model' },
  };
  await served.send(tenantId, [root, priced, unpriced]);
  const item = (await list(tenantId)).data[0];
  assert.deepEqual([item?.cost_usd, item?.cost_priced_usd], [null, '0.0075']);
  const { body } = await served.get<{ totalCost: string; unpricedCount: number; breakdown: unknown[] }>(
    tenantId,
    '/api/analytics/cost?groupBy=model',
  );
  assert.deepEqual([body.totalCost, body.unpricedCount], ['0.0075', 1]);
  assert.deepEqual(body.breakdown, [
    { groupKey: 'gpt-4o', totalCost: '0.0075', traceCount: 1, unpricedCount: 0, unpricedTraces: 0 },
    { groupKey: 'house-model', totalCost: '0', traceCount: 1, unpricedCount: 1, unpricedTraces: 1 },
  ]);
});

for (const [query, ids] of [
  ['', [5, 4, 3, 2, 1]],
  ['service=desk', [4, 2]],
  ['model=gpt-4o-mini', [2]],
  ['tags=x', [2, 1]],
  ['tags=x,y', [2]],
  ['tags=x,%20y,', [2]],
  ['startDate=2026-11-23T11:30:00Z', [5, 4, 3]],
  ['endDate=2026-11-23T11:30:00Z', [2, 1]],
  ['startDate=2026-11-23T12:30:00%2B01:00', [5, 4, 3]],
  ['startDate=2026-11-23', [5, 4, 3, 2, 1]],
  ['startDate=2026-11-24', []],
  ['endDate=2026-11-23', []],
  ['minCost=0.01', [5]],
  ['minCost=0.0075', [5, 3, 1]],
  ['maxCost=0.0075', [3, 2, 1]],
  ['maxCost=0.0074999', [2]],
  ['minLatency=1000', [5, 4, 3, 2]],
  ['minLatency=1000.000001', [3]],
  ['maxLatency=100', [1]],
  ['status=error', [3]],
  ['status=ok', [5]],
  ['status=unset', [4, 2, 1]],
  ['user=ada', [1]],
  ['session=s_1', [4]],
  ['q=ASK%203', [3]],
  ['q=s_1', [4]],
  ['q=%25', []],
  ['q=00000000000000000000000000000002', [2]],
  ['environment=prod&limit=1', [5]],
  ['endpoint=ask%204', [4]],
  ['offset=3', [2, 1]],
  ['service=desk&model=gpt-4o', []],
] as const) {
  test(`GET /api/traces?${query} finds ${ids.join(', ') || 'nothing'}`, async () => {
    assert.deepEqual(idsOf(await list(filtered, `?${query}`)), ids);
  });
}

for (const query of [
  'limit=501',
  'limit=0',
  'limit=x',
  'offset=-1',
  'startDate=yesterday',
  'startDate=2026-02-30',
  'minCost=-1',
  'minCost=NaN',
  'maxLatency=1e3',
  'status=fine',
  'cursor=AAAA',
  'service=a&service=b',
  'startDate=0001-01-01',
  'startDate=1677-12-31',
  'endDate=9999-12-31',
  'endDate=2262-04-12',
  `q=${'x'.repeat(201)}`,
]) {
  test(`GET /api/traces?${query.slice(0, 30)} is 400`, async () => {
    const { status, body } = await served.get<{ code: string }>(filtered, `/api/traces?${query}`);
    assert.deepEqual([status, body.code], [400, 'VALIDATION_FAILED']);
  });
}

for (const [path, query] of [
  ['/api/traces', 'timerange=1h'],
  ['/api/traces', 'Service=chat'],
  ['/api/metrics/gen_ai.client.token.usage', 'service=chat'],
  ['/api/metrics/gen_ai.client.token.usage', 'groupby=model'],
] as const) {
  test(`GET ${path}?${query} names the member that it does not know, in place of an answer without it`, async () => {
    const { status, body } = await served.get<{ code: string; message: string }>(filtered, `${path}?${query}`);
    assert.deepEqual([status, body.code], [400, 'VALIDATION_FAILED']);
    assert.ok(body.message.includes(query.slice(0, query.indexOf('='))), body.message);
  });
}

const OUT = ['cost?', 'latency?', 'series?metric=cost&interval=86400000&', 'series?metric=latency&interval=86400000&'];
for (const path of [...OUT.map((each) => `/api/analytics/${each}`), '/api/facets?']) {
  test(`GET ${path} refuses times that no column holds and members that it does not know, by name`, async () => {
    for (const [query, named] of [
      ['endDate=0001-01-01', '"endDate" in the query'],
      ['endDate=9999-12-31', '"endDate" in the query'],
      ['startDate=2262-04-12', '"startDate" in the query'],
      ['startDate=2026-06-31', '"startDate" in the query'],
      ['service=chat', 'service'],
      ['environment=production', 'environment'],
      ['timerange=1h', 'timerange'],
    ] as const) {
      const { status, body } = await served.get<{ code: string; message: string }>(filtered, path + query);
      assert.deepEqual([query, status, body.code], [query, 400, 'VALIDATION_FAILED']);
      assert.ok(body.message.includes(named), body.message);
    }
  });

  test(`GET ${path} answers for the first and the last times that a column holds`, async () => {
    for (const query of ['endDate=1678-01-01', 'startDate=2261-12-25&endDate=2262-01-01', 'endDate=1970-01-02']) {
      assert.deepEqual([query, (await served.get(filtered, path + query)).status], [query, 200]);
    }
  });
}

test('a list of all times that there are is a list', async () => {
  const { status, body } = await served.get<Page>(filtered, '/api/traces?startDate=1678-01-01&endDate=2262-01-01');
  assert.equal(status, 200);
  assert.notEqual(body.data.length, 0);
});

test('pages by cursor meet every trace once, also while newer ones arrive', async () => {
  const tenantId = await fill(Array.from({ length: 7 }, (_, i) => ({ trace: i + 1, minutesAgo: 60 - i })));
  const met: number[] = [];
  let cursor = '';
  for (let page = 0; page < 10; page++) {
    const answer = await list(tenantId, `?limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`);
    met.push(...idsOf(answer));
    await fill([{ trace: 100 + page, minutesAgo: 1 }], tenantId);
    if (answer.pagination.nextCursor === null) break;
    cursor = answer.pagination.nextCursor;
  }
  assert.deepEqual(met, [7, 6, 5, 4, 3, 2, 1]);
});

test('traces that began in the same nanosecond are paged without loss', async () => {
  const tenantId = await fill(Array.from({ length: 5 }, (_, i) => ({ trace: i + 1, minutesAgo: 10 })));
  const first = await list(tenantId, '?limit=2');
  const second = await list(tenantId, `?limit=2&cursor=${first.pagination.nextCursor}`);
  const third = await list(tenantId, `?limit=2&cursor=${second.pagination.nextCursor}`);
  assert.deepEqual([...idsOf(first), ...idsOf(second), ...idsOf(third)], [5, 4, 3, 2, 1]);
  assert.equal(third.pagination.hasMore, false);
});

test('a cursor is good for its tenant and its filters only', async () => {
  const other = await fill([{ trace: 1, minutesAgo: 1 }]);
  const { nextCursor } = (await list(filtered, '?limit=2&service=shop')).pagination;
  for (const [tenantId, query] of [
    [filtered, `?cursor=${nextCursor}`],
    [filtered, `?service=desk&cursor=${nextCursor}`],
    [other, `?service=shop&cursor=${nextCursor}`],
    [filtered, `?service=shop&cursor=${nextCursor?.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'))}`],
  ]) {
    assert.equal((await served.get(tenantId as string, `/api/traces${query}`)).status, 400);
  }
  assert.equal((await list(filtered, `?limit=2&service=shop&cursor=${nextCursor}`)).data.length, 1);
});

interface Detail extends Item {
  spans: Array<
    Item & {
      messages: { input: unknown[]; output: unknown[] };
      attributes: Record<string, unknown>;
      events: Array<{ name: string; time_ns: string }>;
      mapped_from: Record<string, string>;
      cost_components: Array<{ unit: string; quantity: number; costUsd: string }>;
      price_version: string;
    }
  >;
}

test('one trace opens with its messages, attributes, bill and where each field came from', async () => {
  const { status, body } = await served.get<Detail>(filtered, `/api/traces/${hex(1, 32)}`);
  assert.equal(status, 200);
  assert.deepEqual(
    body.spans.map(({ name }) => name),
    ['ask 1', 'chat gpt-4o'],
  );
  const call = body.spans[1];
  assert.deepEqual(call?.messages.input, [{ role: 'user', parts: [{ type: 'text', content: 'question 1' }] }]);
  assert.equal(call?.attributes['gen_ai.usage.input_tokens'], 1_000);
  assert.equal(call?.mapped_from['inputTokens'], 'gen_ai.usage.input_tokens');
  assert.equal(call?.cost_usd, '0.0075');
  const lines = call?.cost_components.map(({ unit, quantity, costUsd }) => [unit, quantity, costUsd]);
  assert.deepEqual(lines, [
    ['input_tokens', 1_000, '0.0025'],
    ['output_tokens', 500, '0.005'],
  ]);
  assert.ok(call?.price_version);
  assert.equal(body.spans[0]?.cost_usd, '0');
});

test('a trace of another tenant, one that never was and an id that is none are the same 404', async () => {
  const other = await served.newTenant();
  const answers = await Promise.all(
    [hex(1, 32), hex(999, 32), 'nonsense', '..%2f'].map((id) =>
      served.get<{ code: string; message: string }>(other, `/api/traces/${id}`),
    ),
  );
  for (const { status, body } of answers) assert.deepEqual([status, body.code], [404, 'NOT_FOUND']);
});

test('another tenant sees nothing: no list, no cost, no latency, no series, no facet', async () => {
  const other = await served.newTenant();
  assert.deepEqual((await list(other)).data, []);
  const cost = await served.get<{ totalCost: string; breakdown: unknown[] }>(other, '/api/analytics/cost');
  assert.deepEqual([cost.body.totalCost, cost.body.breakdown], ['0', []]);
  const latency = await served.get<{ p50Latency: unknown; breakdown: unknown[] }>(other, '/api/analytics/latency');
  assert.deepEqual([latency.body.p50Latency, latency.body.breakdown], [null, []]);
  for (const metric of ['cost', 'tokens', 'traces', 'spans', 'errors', 'latency']) {
    const series = await served.get<{ series: unknown[] }>(other, `/api/analytics/series?metric=${metric}`);
    assert.deepEqual(series.body.series, []);
  }
  const facets = await served.get<Record<string, unknown[]>>(other, '/api/facets');
  assert.deepEqual(Object.values(facets.body).flat(), []);
  assert.equal(await served.explore.hasSpans(other), false);
  assert.equal(await served.explore.hasSpans(filtered), true);
});

// 0.0075 (1), 0.00045 (2: 1,000 × $0.15 + 500 × $0.60 per million), 0.0075 (3), unpriced (4), 0.255 (5)
const TOTAL = '0.27045';
for (const [groupBy, breakdown] of [
  [
    'service',
    [
      ['shop', '0.27', 3],
      ['desk', '0.00045', 2],
    ],
  ],
  [
    'model',
    [
      ['gpt-4o', '0.27', 3],
      ['gpt-4o-mini', '0.00045', 1],
      ['house-model', '0', 1],
    ],
  ],
  ['date', [['2026-11-23', TOTAL, 5]]],
  [
    'user',
    [
      [null, '0.26295', 4],
      ['ada', '0.0075', 1],
    ],
  ],
  ['tenant', [[filtered, TOTAL, 5]]],
  ['environment', [['prod', TOTAL, 5]]],
  [
    'endpoint',
    [
      ['ask 5', '0.255', 1],
      ['ask 1', '0.0075', 1],
      ['ask 3', '0.0075', 1],
      ['ask 2', '0.00045', 1],
      ['ask 4', '0', 1],
    ],
  ],
] as const) {
  test(`cost by ${groupBy} adds up exactly to the total`, async () => {
    const { body } = await served.get<{
      totalCost: string;
      avgCost: string;
      breakdown: Array<{ groupKey: string | null; totalCost: string; traceCount: number }>;
    }>(filtered, `/api/analytics/cost?groupBy=${groupBy}`);
    assert.equal(body.totalCost, TOTAL);
    assert.equal(body.avgCost, '0.05409');
    assert.deepEqual(
      body.breakdown.map(({ groupKey, totalCost, traceCount }) => [groupKey, totalCost, traceCount]),
      breakdown,
    );
  });
}

/** percentile_cont as PostgreSQL documents it: linear interpolation at rank q × (n − 1). */
function percentile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = q * (sorted.length - 1);
  const below = sorted[Math.floor(rank)] ?? 0;
  return below + (rank - Math.floor(rank)) * ((sorted[Math.ceil(rank)] ?? 0) - below);
}

function close(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual} ≠ ${expected}`);
}

test('latency percentiles are those of the rows', async () => {
  const durations = [12, 900, 35, 4_000, 77, 310, 150, 2_200, 60, 480];
  const tenantId = await fill(
    durations.map((durationMs, i) => ({ trace: i + 1, minutesAgo: i + 1, durationMs, service: i % 2 ? 'a' : 'b' })),
  );
  interface Figures {
    avgLatency: number;
    p50Latency: number;
    p95Latency: number;
    p99Latency: number;
  }
  const { body } = await served.get<Figures & { breakdown: Array<Figures & { groupKey: string; traceCount: number }> }>(
    tenantId,
    '/api/analytics/latency?timeRange=1h&groupBy=service',
  );
  close(body.avgLatency, durations.reduce((sum, each) => sum + each, 0) / durations.length);
  close(body.p50Latency, percentile(durations, 0.5));
  close(body.p95Latency, percentile(durations, 0.95));
  close(body.p99Latency, percentile(durations, 0.99));
  const own = body.breakdown.find(({ groupKey }) => groupKey === 'a');
  close(
    own?.p95Latency ?? 0,
    percentile(
      durations.filter((_, i) => i % 2 === 1),
      0.95,
    ),
  );
  const models = await served.get<{ breakdown: Array<Figures & { groupKey: string }> }>(
    tenantId,
    '/api/analytics/latency?timeRange=1h&groupBy=model',
  );
  close(
    models.body.breakdown[0]?.p95Latency ?? 0,
    percentile(
      durations.map((each) => each - 2e-6),
      0.95,
    ),
  );
  const series = await served.get<{ series: Array<{ points: Array<{ p50: number; p95: number; count: number }> }> }>(
    tenantId,
    '/api/analytics/series?metric=latency&interval=86400000',
  );
  const point = series.body.series[0]?.points[0];
  assert.equal(point?.count, 10);
  // the sketch answers the value of rank ⌊q(n − 1)⌋, at most 1 % off
  const sorted = [...durations].sort((a, b) => a - b);
  assert.ok(Math.abs((point?.p50 ?? 0) / (sorted[4] as number) - 1) <= 0.0101);
  assert.ok(Math.abs((point?.p95 ?? 0) / (sorted[8] as number) - 1) <= 0.0101);
});

for (const [metric, total] of [
  ['cost', 0.27045],
  ['tokens', 106_500],
  ['traces', 5],
  ['spans', 10],
  ['errors', 1],
] as const) {
  test(`the series of ${metric} adds up to the rows, grouped or not`, async () => {
    for (const groupBy of ['none', 'service', 'status']) {
      const { body } = await served.get<{
        intervalMs: number;
        series: Array<{ groupKey: string | null; points: Array<{ t: string; value: number | string }> }>;
      }>(filtered, `/api/analytics/series?metric=${metric}&groupBy=${groupBy}&timeRange=1h`);
      const values = body.series.flatMap(({ points }) => points.map(({ value }) => Number(value)));
      assert.ok(Math.abs(values.reduce((sum, value) => sum + value, 0) - total) < 1e-9, `${metric} by ${groupBy}`);
      assert.equal(body.intervalMs, 60_000);
    }
  });
}

test('facets count the traces that have each value', async () => {
  const { body } = await served.get<Record<string, unknown>>(filtered, '/api/facets');
  assert.deepEqual(body, {
    services: [
      { value: 'shop', count: 3 },
      { value: 'desk', count: 2 },
    ],
    models: [
      { value: 'gpt-4o', count: 3 },
      { value: 'gpt-4o-mini', count: 1 },
      { value: 'house-model', count: 1 },
    ],
    environments: [{ value: 'prod', count: 5 }],
    tags: [
      { value: 'x', count: 2 },
      { value: 'y', count: 1 },
    ],
    users: [{ value: 'ada', count: 1 }],
    statuses: [
      { value: 'unset', count: 3 },
      { value: 'ok', count: 1 },
      { value: 'error', count: 1 },
    ],
  });
});

test('the outline has the shape of every span, and one span alone is what the whole trace says of it', async () => {
  const tenantId = await fill([
    { trace: 1, minutesAgo: 5, model: 'house-model' },
    { trace: 2, minutesAgo: 4, status: 2 },
  ]);
  for (const trace of [1, 2]) {
    const { spans, ...item } = (await served.get<Detail>(tenantId, `/api/traces/${hex(trace, 32)}`)).body;
    const { body } = await served.get<Detail>(tenantId, `/api/traces/${hex(trace, 32)}/outline`);
    const { spans: outlined, ...outlinedItem } = body;
    assert.deepEqual({ ...outlinedItem, content_truncated: false }, item);
    assert.equal(outlined.length, spans.length);
    for (const [i, span] of spans.entries()) {
      const whole: Record<string, unknown> = { ...span };
      for (const [name, value] of Object.entries(outlined[i] as object)) assert.deepEqual(value, whole[name], name);
      const alone = await served.get<unknown>(tenantId, `/api/traces/${hex(trace, 32)}/spans/${span.span_id}`);
      assert.deepEqual(alone.body, span);
    }
  }
  const other = await served.newTenant();
  for (const path of ['/outline', `/spans/${hex(1, 16)}`]) {
    const { status } = await served.get(other, `/api/traces/${hex(1, 32)}${path}`);
    assert.equal(status, 404, 'another tenant finds nothing');
  }
  const missing = await served.get(tenantId, `/api/traces/${hex(1, 32)}/spans/${hex(99, 16)}`);
  assert.equal(missing.status, 404);
});

test('a trace of ten thousand spans opens', async () => {
  const tenantId = await served.newTenant();
  const traceId = hex(7, 32);
  const [, call] = conversation({ trace: 7, minutesAgo: 5 }) as [OtlpSpan, OtlpSpan];
  for (let sent = 0; sent < 10_000; sent += 1_000) {
    const batch = Array.from({ length: 1_000 }, (_, i) => ({
      ...call,
      spanId: hex(sent + i + 1, 16),
      startNs: call.startNs + BigInt(sent + i),
      ...(sent + i === 0 ? { parentSpanId: '' } : {}),
    }));
    await served.send(tenantId, batch);
  }
  const startedMs = performance.now();
  const { status, body } = await served.get<Detail>(tenantId, `/api/traces/${traceId}`);
  assert.equal(status, 200);
  assert.equal(body.spans.length, 10_000);
  // 0.0075 each; the first contains the others and reports what one of them does: it is not one more
  assert.equal(body.cost_usd, '74.9925');
  assert.ok(performance.now() - startedMs < 10_000);
});

for (const [text, ms] of [
  ['2026-11-23', Date.UTC(2026, 10, 23)],
  ['2026-11-23T10:00', Date.UTC(2026, 10, 23, 10)],
  ['2026-11-23T10:00:00.5Z', Date.UTC(2026, 10, 23, 10, 0, 0, 500)],
  ['2026-11-23T10:00:00+02:00', Date.UTC(2026, 10, 23, 8)],
] as const) {
  test(`${text} is an instant`, () => assert.equal(instantOf(text), BigInt(ms) * 1_000_000n));
}
test('nanoseconds of an instant are kept', () => {
  assert.equal(instantOf('1970-01-01T00:00:01.000000001Z'), 1_000_000_001n);
});
