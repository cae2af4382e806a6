// Data points of every kind against an independent encoder, in both encodings; what is refused; and that no bytes crash it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { attributes, encodeRequest, START_NS } from '../../test/wire.ts';
import { decodeMetricsJson, decodeMetricsProtobuf, MAX_BUCKETS } from './metrics.ts';
import type { DataPoint, DecodedMetrics } from './metrics.ts';
import { OtlpDecodeError } from './reader.ts';

type MetricJson = Record<string, unknown>;

function requestJson(metrics: MetricJson[]): object {
  return {
    resourceMetrics: [
      {
        resource: { attributes: attributes({ 'service.name': 'shop' }) },
        scopeMetrics: [{ scope: { name: 'tests', version: '1.0.0' }, metrics }],
      },
    ],
  };
}

const plain = ({ metric, ...rest }: DataPoint): object => {
  const { context, ...own } = metric;
  const { rawResource: _rawResource, rawScope: _rawScope, ...shared } = context;
  return { ...rest, metric: { ...own, context: shared } };
};

/** Both encodings must agree; answers what protobuf said. */
function both(metrics: MetricJson[]): DecodedMetrics {
  const request = requestJson(metrics);
  const protobuf = decodeMetricsProtobuf(encodeRequest(request, 'ExportMetricsServiceRequest'));
  const json = decodeMetricsJson(JSON.stringify(request));
  assert.deepEqual(protobuf.points.map(plain), json.points.map(plain));
  assert.deepEqual(protobuf.rejected, json.rejected);
  assert.equal(protobuf.pointCount, json.pointCount);
  return protobuf;
}

const TIMES = { startTimeUnixNano: String(START_NS), timeUnixNano: String(START_NS + 60_000_000_000n) };
const HISTOGRAM = {
  ...TIMES,
  count: '6',
  sum: 21.5,
  min: 0.5,
  max: 9,
  bucketCounts: ['1', '2', '3'],
  explicitBounds: [1, 5],
  attributes: attributes({ 'gen_ai.token.type': 'input' }),
};

function metric(kind: string, data: object): MetricJson {
  return { name: 'gen_ai.client.token.usage', description: 'Tokens', unit: '{token}', [kind]: data };
}

test('every kind of metric is read with everything that it says', () => {
  const { points } = both([
    metric('gauge', { dataPoints: [{ ...TIMES, asDouble: 1.25 }] }),
    metric('sum', { aggregationTemporality: 2, isMonotonic: true, dataPoints: [{ ...TIMES, asInt: '-42' }] }),
    metric('histogram', { aggregationTemporality: 1, dataPoints: [HISTOGRAM] }),
    metric('exponentialHistogram', {
      aggregationTemporality: 2,
      dataPoints: [
        {
          ...TIMES,
          count: '7',
          sum: 3,
          scale: -2,
          zeroCount: '1',
          zeroThreshold: 0.001,
          positive: { offset: -3, bucketCounts: ['1', '0', '4'] },
          negative: { offset: 2, bucketCounts: ['1'] },
        },
      ],
    }),
    metric('summary', {
      dataPoints: [{ ...TIMES, count: '2', sum: 3, quantileValues: [{ quantile: 0.5, value: 1.5 }] }],
    }),
  ]);
  const [gauge, sum, histogram, exponential, summary] = points;
  assert.deepEqual([gauge?.value, gauge?.metric.kind, gauge?.metric.temporality], [1.25, 'gauge', 'unspecified']);
  assert.deepEqual([sum?.value, sum?.metric.temporality, sum?.metric.monotonic], [-42, 'cumulative', true]);
  assert.deepEqual(histogram?.buckets, { bounds: [1, 5], counts: [1, 2, 3] });
  assert.deepEqual([histogram?.count, histogram?.sum, histogram?.min, histogram?.max], [6, 21.5, 0.5, 9]);
  assert.equal(histogram?.metric.temporality, 'delta');
  assert.deepEqual({ ...histogram?.attributes }, { 'gen_ai.token.type': 'input' });
  assert.deepEqual(exponential?.exponential, {
    scale: -2,
    zeroCount: 1,
    zeroThreshold: 0.001,
    positive: { offset: -3, counts: [1, 0, 4] },
    negative: { offset: 2, counts: [1] },
  });
  assert.deepEqual(summary?.quantiles, [{ quantile: 0.5, value: 1.5 }]);
  assert.equal(summary?.metric.context.serviceName, 'shop');
});

test('a histogram that nobody fed counts zero, though proto3 leaves the zero out', () => {
  const { points } = both([metric('histogram', { aggregationTemporality: 2, dataPoints: [{ ...TIMES }] })]);
  assert.equal(points[0]?.count, 0);
});

test('a point that says there is no value is taken and keeps nothing', () => {
  const { points, rejected, pointCount } = both([metric('gauge', { dataPoints: [{ ...TIMES, flags: 1 }] })]);
  assert.deepEqual([points.length, rejected.count, pointCount], [0, 0, 1]);
});

const REFUSED: readonly [what: string, bad: MetricJson, message: RegExp][] = [
  ['no name', { ...metric('gauge', { dataPoints: [{ ...TIMES, asInt: '1' }] }), name: '' }, /name for a metric/],
  ['no time', metric('gauge', { dataPoints: [{ asInt: '1' }] }), /time from 1/],
  ['no value', metric('gauge', { dataPoints: [{ ...TIMES }] }), /finite value/],
  ['a value that is no number', metric('sum', { dataPoints: [{ ...TIMES, asDouble: 'NaN' }] }), /finite value/],
  ['too few buckets', metric('histogram', { dataPoints: [{ ...HISTOGRAM, explicitBounds: [1] }] }), /one more bucket/],
  ['bounds that fall', metric('histogram', { dataPoints: [{ ...HISTOGRAM, explicitBounds: [5, 1] }] }), /ascending/],
  [
    'too many buckets',
    metric('histogram', {
      dataPoints: [{ ...HISTOGRAM, bucketCounts: Array.from({ length: MAX_BUCKETS + 10 }, () => '1') }],
    }),
    /at most 2048 buckets/,
  ],
  ['a scale beyond reason', metric('exponentialHistogram', { dataPoints: [{ ...TIMES, scale: 31 }] }), /scale from/],
];

for (const [what, bad, message] of REFUSED) {
  test(`a point with ${what} is rejected alone`, () => {
    const { points, rejected } = both([bad, metric('gauge', { dataPoints: [{ ...TIMES, asInt: '1' }] })]);
    assert.equal(points.length, 1);
    assert.equal(rejected.count, 1);
    assert.match(rejected.messages[0]!, message);
  });
}

/** Reads the bytes, or fails unless they are refused as bytes that are no request. */
function attempt(bytes: Uint8Array): void {
  try {
    decodeMetricsProtobuf(bytes);
  } catch (error) {
    assert.ok(error instanceof OtlpDecodeError, String(error));
  }
}

test('no bytes crash the decoder: they are read, or refused as what they are', () => {
  const whole = encodeRequest(
    requestJson([
      metric('histogram', { aggregationTemporality: 1, dataPoints: [HISTOGRAM] }),
      metric('exponentialHistogram', {
        dataPoints: [{ ...TIMES, positive: { offset: 1, bucketCounts: ['1', '300'] } }],
      }),
    ]),
    'ExportMetricsServiceRequest',
  );
  for (let length = 0; length <= whole.length; length++) attempt(whole.subarray(0, length));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), attempt));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 }), (changes) => {
      const garbled = Uint8Array.from(whole);
      for (const [at, byte] of changes) garbled[at] = byte;
      attempt(garbled);
    }),
    { numRuns: 2_000 },
  );
});

test('no JSON crashes the decoder', () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom('gauge', 'histogram', 'exponentialHistogram', 'summary'),
      (value, kind) => {
        for (const body of [value, { resourceMetrics: value }, requestJson([{ name: 'm', [kind]: value }])]) {
          try {
            decodeMetricsJson(JSON.stringify(body));
          } catch (error) {
            assert.ok(error instanceof OtlpDecodeError, String(error));
          }
        }
      },
    ),
  );
});
