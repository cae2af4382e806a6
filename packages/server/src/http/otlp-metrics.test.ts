// Metrics in and out over a real socket: what an instrument measured is what is answered, whatever the temporality.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { attributesOf, NOW_MS } from '../ingest/fixtures/room.ts';
import { serve } from '../ingest/fixtures/serve.ts';

const served = await serve();
after(() => served.close());

const MINUTE_NS = 60_000_000_000n;
const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const TOKENS = 'gen_ai.client.token.usage';
const BOUNDS = [1, 4, 16, 64, 256, 1_024];

const at = (minute: number): string => String(NOW_NS - 60n * MINUTE_NS + BigInt(minute) * MINUTE_NS);

function request(...metrics: object[]): object {
  return {
    resourceMetrics: [
      { resource: { attributes: attributesOf({ 'service.name': 'shop' }) }, scopeMetrics: [{ metrics }] },
    ],
  };
}

function histogramPoint(values: readonly number[], startMinute: number, minute: number, type = 'input'): object {
  const bucketCounts = BOUNDS.map(
    (bound, i) => values.filter((value) => value <= bound && value > (BOUNDS[i - 1] ?? -Infinity)).length,
  );
  return {
    startTimeUnixNano: at(startMinute),
    timeUnixNano: at(minute),
    count: String(values.length),
    sum: values.reduce((sum, value) => sum + value, 0),
    ...(values.length === 0 ? {} : { min: Math.min(...values), max: Math.max(...values) }),
    explicitBounds: BOUNDS,
    bucketCounts: [...bucketCounts, values.filter((value) => value > 1_024).length].map(String),
    attributes: attributesOf({ 'gen_ai.token.type': type }),
  };
}

const histogram = (aggregationTemporality: number, ...dataPoints: object[]): object => ({
  name: TOKENS,
  unit: '{token}',
  histogram: { aggregationTemporality, dataPoints },
});

interface Answer {
  kind: string;
  series: Array<{
    groupKey: string | null;
    count: number;
    sum: number;
    points: Array<{ t: string; value?: number; count: number; sum?: number; p50?: number; max?: number | null }>;
  }>;
}

async function read(tenantId: string, query = '', name = TOKENS): Promise<Answer> {
  const { status, body } = await served.get<Answer>(
    tenantId,
    `/api/metrics/${name}?timeRange=6h&interval=60000&${query}`,
  );
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

/** What was measured in each of three minutes. */
const MEASURED = [
  [3, 10, 200],
  [7, 7],
  [1_500, 2, 30, 30],
];

test('delta and cumulative points of the same measurements give the same counts, sums and percentiles', async () => {
  const [delta, cumulative] = [await served.newTenant(), await served.newTenant()];
  for (const [i, values] of MEASURED.entries()) {
    await served.sendMetrics(delta, request(histogram(1, histogramPoint(values, i, i + 1))));
    const sofar = MEASURED.slice(0, i + 1).flat();
    await served.sendMetrics(cumulative, request(histogram(2, histogramPoint(sofar, 0, i + 1))));
  }
  const [ofDelta, ofCumulative] = [await read(delta), await read(cumulative)];
  for (const answer of [ofDelta, ofCumulative]) {
    assert.deepEqual(
      answer.series[0]?.points.map(({ count, sum }) => [count, sum]),
      MEASURED.map((values) => [values.length, values.reduce((sum, value) => sum + value, 0)]),
    );
    assert.deepEqual([answer.series[0]?.count, answer.series[0]?.sum], [9, 1_789]);
  }
  assert.deepEqual(
    ofDelta.series[0]?.points.map(({ p50 }) => p50),
    ofCumulative.series[0]?.points.map(({ p50 }) => p50),
  );
  // the median of 7 and 7 lies in the bucket from 4 to 16
  const median = ofDelta.series[0]?.points[1]?.p50 ?? 0;
  assert.ok(median > 4 && median <= 16, String(median));
});

test('a restart of a cumulative series takes nothing back', async () => {
  const tenantId = await served.newTenant();
  await served.sendMetrics(tenantId, request(histogram(2, histogramPoint([5, 5, 5], 0, 1))));
  await served.sendMetrics(tenantId, request(histogram(2, histogramPoint([9], 2, 3))));
  const [series] = (await read(tenantId)).series;
  assert.deepEqual([series?.count, series?.sum], [4, 24]);
});

test('points are grouped by an attribute, the service or the environment', async () => {
  const tenantId = await served.newTenant();
  const points = [histogramPoint([5], 0, 1, 'input'), histogramPoint([50, 50], 0, 1, 'output')];
  await served.sendMetrics(tenantId, request(histogram(1, ...points)));
  const keys = async (groupBy: string): Promise<Array<[string | null, number]>> =>
    (await read(tenantId, `groupBy=${groupBy}`)).series.map(({ groupKey, sum }) => [groupKey, sum]);
  assert.deepEqual(await keys('gen_ai.token.type'), [
    ['output', 100],
    ['input', 5],
  ]);
  assert.deepEqual(await keys('service'), [['shop', 105]]);
  assert.deepEqual(await keys('nothing'), [[null, 105]]);
});

test('sums, gauges, exponential histograms and summaries are read as what they are', async () => {
  const tenantId = await served.newTenant();
  const times = { startTimeUnixNano: at(0), timeUnixNano: at(1) };
  const later = { startTimeUnixNano: at(0), timeUnixNano: at(2) };
  const answer = await served.sendMetrics(
    tenantId,
    request(
      {
        name: 'gen_ai.sum',
        sum: {
          aggregationTemporality: 2,
          isMonotonic: true,
          dataPoints: [
            { ...times, asInt: '5' },
            { ...later, asInt: '12' },
          ],
        },
      },
      {
        name: 'gen_ai.gauge',
        gauge: {
          dataPoints: [
            { ...times, asDouble: 1.5 },
            { ...later, asDouble: 2.5 },
          ],
        },
      },
      {
        name: 'gen_ai.exponential',
        exponentialHistogram: {
          aggregationTemporality: 1,
          // scale 0: (1,2] holds 2, (2,4] holds 2, (4,8] none, (8,16] holds 4
          dataPoints: [
            { ...times, count: '8', sum: 60, scale: 0, positive: { offset: 0, bucketCounts: ['2', '2', '0', '4'] } },
          ],
        },
      },
      {
        name: 'llm.summary',
        summary: { dataPoints: [{ ...times, count: '4', sum: 10, quantileValues: [{ quantile: 0.5, value: 2 }] }] },
      },
    ),
  );
  assert.deepEqual(answer, { rejected: 0, messages: [] });
  const points = async (name: string): Promise<Answer['series'][0]['points']> =>
    (await read(tenantId, '', name)).series[0]?.points ?? [];
  assert.deepEqual(
    (await points('gen_ai.sum')).map(({ value }) => value),
    [5, 7],
  );
  assert.deepEqual(
    (await points('gen_ai.gauge')).map(({ value }) => value),
    [1.5, 2.5],
  );
  const [exponential] = await points('gen_ai.exponential');
  assert.deepEqual([exponential?.count, exponential?.sum, exponential?.p50], [8, 60, 4]);
  assert.deepEqual(
    (await points('llm.summary')).map(({ count, sum }) => [count, sum]),
    [[4, 10]],
  );
  const { body } = await served.get<{ data: Array<{ name: string; kind: string }> }>(tenantId, '/api/metrics');
  assert.deepEqual(
    body.data.map(({ name, kind }) => [name, kind]),
    [
      ['gen_ai.exponential', 'exponential_histogram'],
      ['gen_ai.gauge', 'gauge'],
      ['gen_ai.sum', 'sum'],
      ['llm.summary', 'summary'],
    ],
  );
});

test('the same points again have no effect, other content at the same time replaces', async () => {
  const tenantId = await served.newTenant();
  const once = request(histogram(1, histogramPoint([5], 0, 1)));
  await served.sendMetrics(tenantId, once);
  const before = served.metrics.counts();
  await served.sendMetrics(tenantId, once);
  assert.equal(served.metrics.counts().stored, before.stored);
  assert.equal(served.metrics.counts().duplicates, before.duplicates + 1);
  await served.sendMetrics(tenantId, request(histogram(1, histogramPoint([6, 6], 0, 1))));
  assert.deepEqual([(await read(tenantId)).series[0]?.count, (await read(tenantId)).series[0]?.sum], [2, 12]);
});

test('metrics of other names are taken, counted and said not to be kept', async () => {
  const tenantId = await served.newTenant();
  const before = served.metrics.counts().notKept;
  const other = { name: 'http.server.duration', gauge: { dataPoints: [{ timeUnixNano: at(1), asInt: '1' }] } };
  const response = await served.post(
    tenantId,
    JSON.stringify(request(other, histogram(1, histogramPoint([5], 0, 1)))),
    { 'content-type': 'application/json' },
    '/v1/metrics',
  );
  assert.equal(response.status, 200);
  const { partialSuccess } = (await response.json()) as { partialSuccess: Record<string, string> };
  assert.equal(partialSuccess.rejectedDataPoints, '0');
  assert.match(partialSuccess.errorMessage ?? '', /1 data points were taken but not kept.*http\.server\.duration/);
  assert.equal(served.metrics.counts().notKept, before + 1);
  assert.equal((await served.get(tenantId, '/api/metrics/http.server.duration')).status, 404);
  assert.equal((await read(tenantId)).series[0]?.count, 1);
});

test('one tenant never sees the metrics of another', async () => {
  const [one, other] = [await served.newTenant(), await served.newTenant()];
  await served.sendMetrics(other, request(histogram(1, histogramPoint([5], 0, 1))));
  assert.deepEqual((await served.get(one, '/api/metrics')).body, { data: [] });
  assert.equal((await served.get(one, `/api/metrics/${TOKENS}`)).status, 404);
});

test('attributes pass through the redactor before they are kept', async () => {
  const redacting = await serve({
    signalRedactor: {
      redactLogs: (records) => records,
      redactAttributes: (attributes) =>
        Object.fromEntries(
          Object.entries(attributes).map(([key, value]) => [key, value === 'secret' ? '[masked]' : value]),
        ),
    },
  });
  try {
    const tenantId = await redacting.newTenant();
    await redacting.sendMetrics(tenantId, request(histogram(1, histogramPoint([5], 0, 1, 'secret'))));
    const { body } = await redacting.get<Answer>(
      tenantId,
      `/api/metrics/${TOKENS}?timeRange=6h&groupBy=gen_ai.token.type`,
    );
    assert.equal(body.series[0]?.groupKey, '[masked]');
  } finally {
    await redacting.close();
  }
});

test('a tenant that has used its day up is told when to come back', async () => {
  const small = await serve({ pointsPerDay: 1 });
  try {
    const tenantId = await small.newTenant();
    await small.sendMetrics(tenantId, request(histogram(1, histogramPoint([5], 0, 1))));
    await assert.rejects(small.sendMetrics(tenantId, request(histogram(1, histogramPoint([5], 1, 2)))), {
      code: 'RATE_LIMIT_EXCEEDED',
      retryAfterSeconds: 43_200,
    });
  } finally {
    await small.close();
  }
});
