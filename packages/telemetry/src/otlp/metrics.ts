// OTLP metrics: what a data point is, and ExportMetricsServiceRequest read from protobuf and from JSON into the same points.
// Schema: opentelemetry-proto v1.9 collector/metrics/v1, metrics/v1.
import type { Attributes, SpanContext } from '../span.ts';
import { MAX_NAME_LENGTH } from '../span.ts';
import { clipAtWord } from '../text.ts';
import { newAttributes, reject } from './build.ts';
import type { Rejected } from './build.ts';
import { readKeyValue } from './decode.ts';
import { attributesOf, bigintAt, doubleAt, isAbsent, listAt, numberAt, objectAt, textAt, timeAt } from './json.ts';
import type { JsonObject } from './json.ts';
import { MAX_TIME_NS } from './limits.ts';
import { readJsonGroups, readResourceGroup, refusing } from './logs.ts';
import { BYTES, FIXED64, Reader, VARINT } from './reader.ts';

export type MetricKind = 'gauge' | 'sum' | 'histogram' | 'exponential_histogram' | 'summary';
/** Whether a point counts since the one before or since its start time; a gauge and a summary have none. */
export type Temporality = 'unspecified' | 'delta' | 'cumulative';

/** What all points of one metric of one scope share. */
export interface Metric {
  context: SpanContext;
  name: string;
  description: string;
  unit: string;
  kind: MetricKind;
  temporality: Temporality;
  /** A sum that only grows. */
  monotonic: boolean;
}

/** `counts[i]` fell into the bucket up to and including `bounds[i]`; the last one beyond all bounds. */
export interface ExplicitBuckets {
  bounds: number[];
  counts: number[];
}

/** Bucket `i` of a side covers (base^(offset + i), base^(offset + i + 1)], base = 2^(2^-scale). */
export interface ExponentialBuckets {
  scale: number;
  zeroCount: number;
  zeroThreshold: number;
  positive: { offset: number; counts: number[] };
  negative: { offset: number; counts: number[] };
}

export interface DataPoint {
  metric: Metric;
  attributes: Attributes;
  /** Nanoseconds since 1970; 0 where the sender gave no start. */
  startNs: bigint;
  timeNs: bigint;
  /** Of a gauge or sum. */
  value?: number;
  /** Of histograms and summaries. */
  count?: number;
  sum?: number;
  min?: number;
  max?: number;
  buckets?: ExplicitBuckets;
  exponential?: ExponentialBuckets;
  quantiles?: Array<{ quantile: number; value: number }>;
}

/** What one export request held; `pointCount` counts all, the rejected and those that say "no value recorded" too. */
export interface DecodedMetrics {
  points: DataPoint[];
  rejected: Rejected;
  pointCount: number;
}

/** Points of one request; those beyond are rejected. */
export const MAX_DATA_POINTS = 50_000;
/** Buckets of one point, as the SDKs' exponential histograms have 160 and explicit ones a dozen. */
export const MAX_BUCKETS = 2_048;
const MAX_QUANTILES = 128;
const MAX_SCALE = 30;
/** DataPointFlags: the point says that there is no value. */
const NO_RECORDED_VALUE = 1;
const TEMPORALITIES: readonly Temporality[] = ['unspecified', 'delta', 'cumulative'];
const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;
const MAX_INT64 = 0x7fff_ffff_ffff_ffffn;

const field = (number: number, wireType: number): number => number * 8 + wireType;

/** Metric.data, as metrics/v1 numbers it: the field, its kind. */
const KINDS: ReadonlyMap<number, MetricKind> = new Map([
  [field(5, BYTES), 'gauge'],
  [field(7, BYTES), 'sum'],
  [field(9, BYTES), 'histogram'],
  [field(10, BYTES), 'exponential_histogram'],
  [field(11, BYTES), 'summary'],
]);
/** The same in JSON. */
const MEMBERS: ReadonlyMap<string, MetricKind> = new Map([
  ['gauge', 'gauge'],
  ['sum', 'sum'],
  ['histogram', 'histogram'],
  ['exponentialHistogram', 'exponential_histogram'],
  ['summary', 'summary'],
]);

function nothingDecoded(): DecodedMetrics {
  return { points: [], rejected: { count: 0, messages: [] }, pointCount: 0 };
}

/**
 * Decodes an `ExportMetricsServiceRequest` (protobuf, already decompressed). A point that breaks the rules is rejected
 * alone. Throws OtlpDecodeError when the message is truncated or garbled. Exemplars are not read.
 */
export function decodeMetricsProtobuf(bytes: Uint8Array): DecodedMetrics {
  const reader = new Reader(bytes);
  const decoded = nothingDecoded();
  // ExportMetricsServiceRequest: resource_metrics = 1
  while (reader.pos < bytes.length) {
    const tag = reader.tag(bytes.length);
    if (tag === field(1, BYTES)) {
      readResourceGroup(reader, reader.end(bytes.length), (end, context) => readMetric(reader, end, context, decoded));
    } else reader.skip(tag & 7, bytes.length);
  }
  return decoded;
}

function newMetric(context: SpanContext): Metric {
  return {
    context,
    name: '',
    description: '',
    unit: '',
    kind: 'gauge',
    temporality: 'unspecified',
    monotonic: false,
  };
}

// Metric: name = 1, description = 2, unit = 3, data = 5 | 7 | 9 | 10 | 11. The data is read last, whatever the order.
function readMetric(reader: Reader, end: number, context: SpanContext, decoded: DecodedMetrics): void {
  const metric = newMetric(context);
  let data: { start: number; end: number } | undefined;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    const kind = KINDS.get(tag);
    if (tag === field(1, BYTES)) metric.name = reader.text(reader.end(end));
    else if (tag === field(2, BYTES)) metric.description = reader.text(reader.end(end));
    else if (tag === field(3, BYTES)) metric.unit = reader.text(reader.end(end));
    else if (kind !== undefined) {
      const dataEnd = reader.end(end);
      metric.kind = kind;
      data = { start: reader.pos, end: dataEnd };
      reader.pos = dataEnd;
    } else reader.skip(tag & 7, end);
  }
  clipNames(metric);
  if (data === undefined) return;
  reader.pos = data.start;
  readData(reader, data.end, metric, decoded);
  reader.pos = end;
}

function clipNames(metric: Metric): void {
  metric.name = clipAtWord(metric.name, MAX_NAME_LENGTH);
  metric.description = clipAtWord(metric.description, MAX_NAME_LENGTH);
  metric.unit = clipAtWord(metric.unit, MAX_NAME_LENGTH);
}

// Every kind: data_points = 1, aggregation_temporality = 2; a sum also is_monotonic = 3.
function readData(reader: Reader, end: number, metric: Metric, decoded: DecodedMetrics): void {
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === field(1, BYTES)) readPointInto(reader, reader.end(end), metric, decoded);
    else if (tag === field(2, VARINT)) metric.temporality = TEMPORALITIES[reader.uint32(end)] ?? 'unspecified';
    else if (tag === field(3, VARINT)) metric.monotonic = reader.uint32(end) !== 0;
    else reader.skip(tag & 7, end);
  }
}

type ReadPoint = (reader: Reader, end: number, point: DataPoint) => number;

const POINTS: Record<MetricKind, ReadPoint> = {
  gauge: readNumberPoint,
  sum: readNumberPoint,
  histogram: readHistogramPoint,
  exponential_histogram: readExponentialPoint,
  summary: readSummaryPoint,
};

function readPointInto(reader: Reader, end: number, metric: Metric, decoded: DecodedMetrics): void {
  if (isBeyond(decoded)) {
    reader.pos = end;
    return;
  }
  const point = newPoint(metric, newAttributes());
  const flags = POINTS[metric.kind](reader, end, point);
  take(point, flags, decoded);
}

/** proto3 leaves a count of zero out. */
function newPoint(metric: Metric, attributes: Attributes): DataPoint {
  const point: DataPoint = { metric, attributes, startNs: 0n, timeNs: 0n };
  if (metric.kind !== 'gauge' && metric.kind !== 'sum') point.count = 0;
  return point;
}

function isBeyond(decoded: DecodedMetrics): boolean {
  decoded.pointCount++;
  if (decoded.pointCount <= MAX_DATA_POINTS) return false;
  reject(decoded.rejected, `Expected at most ${MAX_DATA_POINTS} data points in one request`);
  return true;
}

/** Reads a point whose fields `read` knows; answers its flags. `read` is false for a field that it does not know. */
function readPoint(
  reader: Reader,
  end: number,
  point: DataPoint,
  numbers: { attributes: number; flags: number },
  read: (tag: number) => boolean,
): number {
  let flags = 0;
  let position = 0;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === numbers.attributes) readKeyValue(reader, reader.end(end), point.attributes, position++);
    else if (tag === numbers.flags) flags = reader.uint32(end);
    else if (tag === field(2, FIXED64)) point.startNs = reader.fixed64(end);
    else if (tag === field(3, FIXED64)) point.timeNs = reader.fixed64(end);
    else if (!read(tag)) reader.skip(tag & 7, end);
  }
  return flags;
}

// NumberDataPoint: as_double = 4, exemplars = 5, as_int = 6, attributes = 7, flags = 8.
function readNumberPoint(reader: Reader, end: number, point: DataPoint): number {
  return readPoint(reader, end, point, { attributes: field(7, BYTES), flags: field(8, VARINT) }, (tag) => {
    if (tag === field(4, FIXED64)) point.value = reader.double(end);
    else if (tag === field(6, FIXED64)) point.value = Number(BigInt.asIntN(64, reader.fixed64(end)));
    else return false;
    return true;
  });
}

// HistogramDataPoint: count = 4, sum = 5, bucket_counts = 6, explicit_bounds = 7, attributes = 9, flags = 10, min = 11, max = 12.
function readHistogramPoint(reader: Reader, end: number, point: DataPoint): number {
  const bounds: number[] = [];
  const counts: number[] = [];
  point.buckets = { bounds, counts };
  return readPoint(reader, end, point, { attributes: field(9, BYTES), flags: field(10, VARINT) }, (tag) => {
    if (tag === field(4, FIXED64)) point.count = Number(reader.fixed64(end));
    else if (tag === field(5, FIXED64)) point.sum = reader.double(end);
    else if (tag === field(6, FIXED64)) push(counts, Number(reader.fixed64(end)));
    else if (tag === field(7, FIXED64)) push(bounds, reader.double(end));
    else if (tag === field(6, BYTES)) readPacked(reader, reader.end(end), counts, (at) => Number(reader.fixed64(at)));
    else if (tag === field(7, BYTES)) readPacked(reader, reader.end(end), bounds, (at) => reader.double(at));
    else if (tag === field(11, FIXED64)) point.min = reader.double(end);
    else if (tag === field(12, FIXED64)) point.max = reader.double(end);
    else return false;
    return true;
  });
}

// ExponentialHistogramDataPoint: attributes = 1, count = 4, sum = 5, scale = 6, zero_count = 7, positive = 8, negative = 9,
// flags = 10, min = 12, max = 13, zero_threshold = 14.
function readExponentialPoint(reader: Reader, end: number, point: DataPoint): number {
  const own = emptyExponential();
  point.exponential = own;
  return readPoint(reader, end, point, { attributes: field(1, BYTES), flags: field(10, VARINT) }, (tag) => {
    if (tag === field(4, FIXED64)) point.count = Number(reader.fixed64(end));
    else if (tag === field(5, FIXED64)) point.sum = reader.double(end);
    else if (tag === field(6, VARINT)) own.scale = zigzag(reader.uint32(end));
    else if (tag === field(7, FIXED64)) own.zeroCount = Number(reader.fixed64(end));
    else if (tag === field(8, BYTES)) readBuckets(reader, reader.end(end), own.positive);
    else if (tag === field(9, BYTES)) readBuckets(reader, reader.end(end), own.negative);
    else if (tag === field(12, FIXED64)) point.min = reader.double(end);
    else if (tag === field(13, FIXED64)) point.max = reader.double(end);
    else if (tag === field(14, FIXED64)) own.zeroThreshold = reader.double(end);
    else return false;
    return true;
  });
}

function emptyExponential(): ExponentialBuckets {
  return {
    scale: 0,
    zeroCount: 0,
    zeroThreshold: 0,
    positive: { offset: 0, counts: [] },
    negative: { offset: 0, counts: [] },
  };
}

// Buckets: offset = 1 (sint32), bucket_counts = 2 (uint64).
function readBuckets(reader: Reader, end: number, side: { offset: number; counts: number[] }): void {
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === field(1, VARINT)) side.offset = zigzag(reader.uint32(end));
    else if (tag === field(2, VARINT)) push(side.counts, Number(reader.int64(end)));
    else if (tag === field(2, BYTES))
      readPacked(reader, reader.end(end), side.counts, (at) => Number(reader.int64(at)));
    else reader.skip(tag & 7, end);
  }
}

// SummaryDataPoint: count = 4, sum = 5, quantile_values = 6 { quantile = 1, value = 2 }, attributes = 7, flags = 8.
function readSummaryPoint(reader: Reader, end: number, point: DataPoint): number {
  const quantiles: Array<{ quantile: number; value: number }> = [];
  point.quantiles = quantiles;
  return readPoint(reader, end, point, { attributes: field(7, BYTES), flags: field(8, VARINT) }, (tag) => {
    if (tag === field(4, FIXED64)) point.count = Number(reader.fixed64(end));
    else if (tag === field(5, FIXED64)) point.sum = reader.double(end);
    else if (tag === field(6, BYTES)) readQuantile(reader, reader.end(end), quantiles);
    else return false;
    return true;
  });
}

function readQuantile(reader: Reader, end: number, quantiles: Array<{ quantile: number; value: number }>): void {
  const own = { quantile: 0, value: 0 };
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === field(1, FIXED64)) own.quantile = reader.double(end);
    else if (tag === field(2, FIXED64)) own.value = reader.double(end);
    else reader.skip(tag & 7, end);
  }
  if (quantiles.length < MAX_QUANTILES) quantiles.push(own);
}

function readPacked(reader: Reader, end: number, into: number[], read: (end: number) => number): void {
  while (reader.pos < end) push(into, read(end));
}

/** One more than allowed is kept, so that the point is seen to be too large. */
function push(into: number[], value: number): void {
  if (into.length <= MAX_BUCKETS) into.push(value);
}

/** sint32: the lowest bit is the sign. */
function zigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1);
}

/** Decodes an `ExportMetricsServiceRequest` in OTLP/JSON, under the rules of {@link decodeMetricsProtobuf}. */
export function decodeMetricsJson(body: string | Uint8Array): DecodedMetrics {
  const decoded = nothingDecoded();
  readJsonGroups(body, { groups: 'resourceMetrics', scopes: 'scopeMetrics', items: 'metrics' }, (item, context) => {
    refusing(decoded.rejected, () => readJsonMetric(objectAt(item, 'metric'), context, decoded));
  });
  return decoded;
}

function readJsonMetric(json: JsonObject, context: SpanContext, decoded: DecodedMetrics): void {
  const metric = newMetric(context);
  metric.name = textAt(json.name, 'name');
  metric.description = textAt(json.description, 'description');
  metric.unit = textAt(json.unit, 'unit');
  clipNames(metric);
  for (const [member, kind] of MEMBERS) {
    if (isAbsent(json[member])) continue;
    const data = objectAt(json[member], member);
    metric.kind = kind;
    metric.temporality =
      TEMPORALITIES[numberAt(data.aggregationTemporality, 'aggregationTemporality')] ?? 'unspecified';
    metric.monotonic = data.isMonotonic === true;
    for (const item of listAt(data.dataPoints, 'dataPoints')) {
      if (isBeyond(decoded)) continue;
      refusing(decoded.rejected, () => {
        const point = objectAt(item, 'dataPoint');
        take(jsonPoint(point, metric), numberAt(point.flags, 'flags'), decoded);
      });
    }
    return;
  }
}

type JsonPoint = (json: JsonObject, point: DataPoint) => void;

const JSON_POINTS: Record<MetricKind, JsonPoint> = {
  gauge: jsonNumber,
  sum: jsonNumber,
  histogram(json, point) {
    jsonDistribution(json, point);
    point.buckets = { bounds: doublesAt(json.explicitBounds), counts: countsAt(json.bucketCounts) };
  },
  exponential_histogram(json, point) {
    jsonDistribution(json, point);
    point.exponential = {
      scale: Number(bigintAt(json.scale ?? 0, 'scale', -(2n ** 31n), 2n ** 31n - 1n)),
      zeroCount: countAt(json.zeroCount) ?? 0,
      zeroThreshold: doubleOf(json.zeroThreshold) ?? 0,
      positive: sideAt(json.positive),
      negative: sideAt(json.negative),
    };
  },
  summary(json, point) {
    jsonDistribution(json, point);
    point.quantiles = listAt(json.quantileValues, 'quantileValues')
      .slice(0, MAX_QUANTILES)
      .map((item) => {
        const { quantile, value } = objectAt(item, 'quantileValues');
        return { quantile: doubleOf(quantile) ?? 0, value: doubleOf(value) ?? 0 };
      });
  },
};

function jsonPoint(json: JsonObject, metric: Metric): DataPoint {
  const point = newPoint(metric, attributesOf(json.attributes).attributes);
  point.startNs = timeAt(json.startTimeUnixNano, 'startTimeUnixNano');
  point.timeNs = timeAt(json.timeUnixNano, 'timeUnixNano');
  JSON_POINTS[metric.kind](json, point);
  return point;
}

function jsonNumber(json: JsonObject, point: DataPoint): void {
  const value = isAbsent(json.asInt)
    ? doubleOf(json.asDouble)
    : Number(bigintAt(json.asInt, 'asInt', -MAX_INT64 - 1n, MAX_INT64));
  if (value !== undefined) point.value = value;
}

function jsonDistribution(json: JsonObject, point: DataPoint): void {
  const { sum, min, max } = { sum: doubleOf(json.sum), min: doubleOf(json.min), max: doubleOf(json.max) };
  const count = countAt(json.count);
  if (count !== undefined) point.count = count;
  if (sum !== undefined) point.sum = sum;
  if (min !== undefined) point.min = min;
  if (max !== undefined) point.max = max;
}

function sideAt(json: unknown): { offset: number; counts: number[] } {
  if (isAbsent(json)) return { offset: 0, counts: [] };
  const side = objectAt(json, 'buckets');
  return {
    offset: Number(bigintAt(side.offset ?? 0, 'offset', -(2n ** 31n), 2n ** 31n - 1n)),
    counts: countsAt(side.bucketCounts),
  };
}

function countAt(value: unknown): number | undefined {
  return isAbsent(value) ? undefined : Number(bigintAt(value, 'count', 0n, MAX_UINT64));
}

function countsAt(value: unknown): number[] {
  const list = listAt(value, 'bucketCounts').slice(0, MAX_BUCKETS + 1);
  return list.map((item) => countAt(item) ?? 0);
}

function doublesAt(value: unknown): number[] {
  const list = listAt(value, 'explicitBounds').slice(0, MAX_BUCKETS + 1);
  return list.map((item) => doubleOf(item) ?? 0);
}

function doubleOf(value: unknown): number | undefined {
  return isAbsent(value) ? undefined : Number(doubleAt(value));
}

/** The last look at a point: a gauge without a value and a point that says so have nothing to keep. */
function take(point: DataPoint, flags: number, decoded: DecodedMetrics): void {
  if ((flags & NO_RECORDED_VALUE) !== 0) return;
  const refusal = refusalOf(point);
  if (refusal === undefined) decoded.points.push(point);
  else reject(decoded.rejected, refusal);
}

function refusalOf({ metric, timeNs, startNs, value, buckets, exponential, ...rest }: DataPoint): string | undefined {
  if (metric.name === '') return 'Expected a name for a metric but received none';
  if (timeNs <= 0n || timeNs > MAX_TIME_NS || startNs > MAX_TIME_NS) {
    return `Expected a time from 1 to ${MAX_TIME_NS} ns for a data point`;
  }
  const isNumber = metric.kind === 'gauge' || metric.kind === 'sum';
  if (isNumber && (value === undefined || !Number.isFinite(value))) return 'Expected a finite value for a data point';
  if (rest.sum !== undefined && !Number.isFinite(rest.sum)) return 'Expected a finite sum for a data point';
  if (buckets !== undefined) return bucketsRefusal(buckets);
  return exponential === undefined ? undefined : exponentialRefusal(exponential);
}

/** Both empty: a histogram that counts and sums only. */
function bucketsRefusal({ bounds, counts }: ExplicitBuckets): string | undefined {
  if (counts.length > MAX_BUCKETS) return `Expected at most ${MAX_BUCKETS} buckets in a data point`;
  if (counts.length === 0 && bounds.length === 0) return undefined;
  if (counts.length !== bounds.length + 1) return 'Expected one more bucket than bounds in a histogram';
  for (let i = 0; i < bounds.length; i++) {
    if (!Number.isFinite(bounds[i]!) || (i > 0 && bounds[i]! <= bounds[i - 1]!)) {
      return 'Expected ascending bounds in a histogram';
    }
  }
  return undefined;
}

function exponentialRefusal({ scale, positive, negative }: ExponentialBuckets): string | undefined {
  if (Math.abs(scale) > MAX_SCALE) return `Expected a scale from -${MAX_SCALE} to ${MAX_SCALE}`;
  if (positive.counts.length + negative.counts.length > MAX_BUCKETS) {
    return `Expected at most ${MAX_BUCKETS} buckets in a data point`;
  }
  return undefined;
}
