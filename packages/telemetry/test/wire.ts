// An independent OTLP encoder for tests and benches: protobufjs over the field numbers of opentelemetry-proto.
import protobuf from 'protobufjs';

type FieldSpec = readonly [id: number, type: string, rule?: 'repeated' | 'oneof'];

// Message → field → number and type, from opentelemetry-proto v1 (collector/trace, trace, resource, common), google.rpc.Status.
const MESSAGES: Record<string, Record<string, FieldSpec>> = {
  ExportTraceServiceRequest: { resourceSpans: [1, 'ResourceSpans', 'repeated'] },
  ExportTraceServiceResponse: { partialSuccess: [1, 'ExportTracePartialSuccess'] },
  ExportTracePartialSuccess: { rejectedSpans: [1, 'int64'], errorMessage: [2, 'string'] },
  RpcStatus: { code: [1, 'int32'], message: [2, 'string'], details: [3, 'Any', 'repeated'] },
  Any: { typeUrl: [1, 'string'], value: [2, 'bytes'] },
  RetryInfo: { retryDelay: [1, 'Duration'] },
  Duration: { seconds: [1, 'int64'], nanos: [2, 'int32'] },
  ExportLogsServiceRequest: { resourceLogs: [1, 'ResourceLogs', 'repeated'] },
  ResourceLogs: { resource: [1, 'Resource'], scopeLogs: [2, 'ScopeLogs', 'repeated'], schemaUrl: [3, 'string'] },
  ScopeLogs: { scope: [1, 'InstrumentationScope'], logRecords: [2, 'LogRecord', 'repeated'], schemaUrl: [3, 'string'] },
  LogRecord: {
    timeUnixNano: [1, 'fixed64'],
    severityNumber: [2, 'int32'],
    severityText: [3, 'string'],
    body: [5, 'AnyValue'],
    attributes: [6, 'KeyValue', 'repeated'],
    droppedAttributesCount: [7, 'uint32'],
    flags: [8, 'fixed32'],
    traceId: [9, 'bytes'],
    spanId: [10, 'bytes'],
    observedTimeUnixNano: [11, 'fixed64'],
    eventName: [12, 'string'],
  },
  ExportMetricsServiceRequest: { resourceMetrics: [1, 'ResourceMetrics', 'repeated'] },
  ResourceMetrics: {
    resource: [1, 'Resource'],
    scopeMetrics: [2, 'ScopeMetrics', 'repeated'],
    schemaUrl: [3, 'string'],
  },
  ScopeMetrics: { scope: [1, 'InstrumentationScope'], metrics: [2, 'Metric', 'repeated'], schemaUrl: [3, 'string'] },
  Metric: {
    name: [1, 'string'],
    description: [2, 'string'],
    unit: [3, 'string'],
    gauge: [5, 'NumberData', 'oneof'],
    sum: [7, 'NumberData', 'oneof'],
    histogram: [9, 'HistogramData', 'oneof'],
    exponentialHistogram: [10, 'ExponentialHistogramData', 'oneof'],
    summary: [11, 'SummaryData', 'oneof'],
  },
  // Gauge and Sum: the first has no fields 2 and 3
  NumberData: {
    dataPoints: [1, 'NumberDataPoint', 'repeated'],
    aggregationTemporality: [2, 'int32'],
    isMonotonic: [3, 'bool'],
  },
  NumberDataPoint: {
    startTimeUnixNano: [2, 'fixed64'],
    timeUnixNano: [3, 'fixed64'],
    asDouble: [4, 'double', 'oneof'],
    asInt: [6, 'sfixed64', 'oneof'],
    attributes: [7, 'KeyValue', 'repeated'],
    flags: [8, 'uint32'],
  },
  HistogramData: { dataPoints: [1, 'HistogramDataPoint', 'repeated'], aggregationTemporality: [2, 'int32'] },
  HistogramDataPoint: {
    startTimeUnixNano: [2, 'fixed64'],
    timeUnixNano: [3, 'fixed64'],
    count: [4, 'fixed64'],
    sum: [5, 'double'],
    bucketCounts: [6, 'fixed64', 'repeated'],
    explicitBounds: [7, 'double', 'repeated'],
    attributes: [9, 'KeyValue', 'repeated'],
    flags: [10, 'uint32'],
    min: [11, 'double'],
    max: [12, 'double'],
  },
  ExponentialHistogramData: {
    dataPoints: [1, 'ExponentialHistogramDataPoint', 'repeated'],
    aggregationTemporality: [2, 'int32'],
  },
  ExponentialHistogramDataPoint: {
    attributes: [1, 'KeyValue', 'repeated'],
    startTimeUnixNano: [2, 'fixed64'],
    timeUnixNano: [3, 'fixed64'],
    count: [4, 'fixed64'],
    sum: [5, 'double'],
    scale: [6, 'sint32'],
    zeroCount: [7, 'fixed64'],
    positive: [8, 'Buckets'],
    negative: [9, 'Buckets'],
    flags: [10, 'uint32'],
    min: [12, 'double'],
    max: [13, 'double'],
    zeroThreshold: [14, 'double'],
  },
  Buckets: { offset: [1, 'sint32'], bucketCounts: [2, 'uint64', 'repeated'] },
  SummaryData: { dataPoints: [1, 'SummaryDataPoint', 'repeated'] },
  SummaryDataPoint: {
    startTimeUnixNano: [2, 'fixed64'],
    timeUnixNano: [3, 'fixed64'],
    count: [4, 'fixed64'],
    sum: [5, 'double'],
    quantileValues: [6, 'QuantileValue', 'repeated'],
    attributes: [7, 'KeyValue', 'repeated'],
    flags: [8, 'uint32'],
  },
  QuantileValue: { quantile: [1, 'double'], value: [2, 'double'] },
  ResourceSpans: { resource: [1, 'Resource'], scopeSpans: [2, 'ScopeSpans', 'repeated'], schemaUrl: [3, 'string'] },
  Resource: { attributes: [1, 'KeyValue', 'repeated'], droppedAttributesCount: [2, 'uint32'] },
  ScopeSpans: { scope: [1, 'InstrumentationScope'], spans: [2, 'Span', 'repeated'], schemaUrl: [3, 'string'] },
  InstrumentationScope: {
    name: [1, 'string'],
    version: [2, 'string'],
    attributes: [3, 'KeyValue', 'repeated'],
    droppedAttributesCount: [4, 'uint32'],
  },
  Span: {
    traceId: [1, 'bytes'],
    spanId: [2, 'bytes'],
    traceState: [3, 'string'],
    parentSpanId: [4, 'bytes'],
    name: [5, 'string'],
    kind: [6, 'int32'],
    startTimeUnixNano: [7, 'fixed64'],
    endTimeUnixNano: [8, 'fixed64'],
    attributes: [9, 'KeyValue', 'repeated'],
    droppedAttributesCount: [10, 'uint32'],
    events: [11, 'Event', 'repeated'],
    droppedEventsCount: [12, 'uint32'],
    links: [13, 'Link', 'repeated'],
    droppedLinksCount: [14, 'uint32'],
    status: [15, 'Status'],
    flags: [16, 'fixed32'],
  },
  Status: { message: [2, 'string'], code: [3, 'int32'] },
  Event: {
    timeUnixNano: [1, 'fixed64'],
    name: [2, 'string'],
    attributes: [3, 'KeyValue', 'repeated'],
    droppedAttributesCount: [4, 'uint32'],
  },
  Link: {
    traceId: [1, 'bytes'],
    spanId: [2, 'bytes'],
    traceState: [3, 'string'],
    attributes: [4, 'KeyValue', 'repeated'],
    droppedAttributesCount: [5, 'uint32'],
    flags: [6, 'fixed32'],
  },
  KeyValue: { key: [1, 'string'], value: [2, 'AnyValue'] },
  AnyValue: {
    stringValue: [1, 'string', 'oneof'],
    boolValue: [2, 'bool', 'oneof'],
    intValue: [3, 'int64', 'oneof'],
    doubleValue: [4, 'double', 'oneof'],
    arrayValue: [5, 'ArrayValue', 'oneof'],
    kvlistValue: [6, 'KeyValueList', 'oneof'],
    bytesValue: [7, 'bytes', 'oneof'],
  },
  ArrayValue: { values: [1, 'AnyValue', 'repeated'] },
  KeyValueList: { values: [1, 'KeyValue', 'repeated'] },
};

const root = new protobuf.Root();
for (const [name, fields] of Object.entries(MESSAGES)) root.add(typeOf(name, fields));
root.resolveAll();

function typeOf(name: string, fields: Record<string, FieldSpec>): protobuf.Type {
  const type = new protobuf.Type(name);
  const members: string[] = [];
  for (const [field, [id, fieldType, rule]] of Object.entries(fields)) {
    type.add(new protobuf.Field(field, id, fieldType, rule === 'repeated' ? rule : undefined));
    if (rule === 'oneof') members.push(field);
  }
  if (members.length > 0) type.add(new protobuf.OneOf('value', members));
  return type;
}

/** A value in the shape of OTLP/JSON. */
export type AnyValueJson =
  | { stringValue: string }
  | { boolValue: boolean }
  | { intValue: string | number }
  | { doubleValue: number | string }
  | { arrayValue: { values: AnyValueJson[] } }
  | { kvlistValue: { values: KeyValueJson[] } }
  | { bytesValue: string }
  | Record<string, never>;

export interface KeyValueJson {
  key: string;
  value: AnyValueJson;
}

export interface SpanJson {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  traceState?: string;
  name?: string;
  kind?: number;
  startTimeUnixNano?: string;
  endTimeUnixNano?: string;
  attributes?: KeyValueJson[];
  droppedAttributesCount?: number;
  events?: { timeUnixNano: string; name: string; attributes?: KeyValueJson[]; droppedAttributesCount?: number }[];
  links?: { traceId: string; spanId: string; traceState?: string; attributes?: KeyValueJson[]; flags?: number }[];
  status?: { code?: number; message?: string };
  flags?: number;
}

export interface RequestJson {
  resourceSpans: {
    resource?: { attributes: KeyValueJson[] };
    scopeSpans: {
      scope?: { name: string; version?: string; attributes?: KeyValueJson[] };
      spans: SpanJson[];
      schemaUrl?: string;
    }[];
    schemaUrl?: string;
  }[];
}

/** Any message from its plain form: ids in `bytes` fields as Uint8Array or base64 text, 64-bit numbers as decimal text. */
export function encode(message: string, plain: object): Uint8Array {
  const type = root.lookupType(message);
  return type.encode(type.fromObject(plain)).finish();
}

export function decode(message: string, bytes: Uint8Array): Record<string, unknown> {
  const type = root.lookupType(message);
  return type.toObject(type.decode(bytes), { longs: String, defaults: false });
}

/** An OTLP/JSON request as protobuf: the same content, with hex ids as bytes. */
export function encodeRequest(request: object, message = 'ExportTraceServiceRequest'): Uint8Array {
  return encode(message, JSON.parse(JSON.stringify(request), withIds) as object);
}

const ID_FIELDS = new Set(['traceId', 'spanId', 'parentSpanId']);

function withIds(key: string, value: unknown): unknown {
  return ID_FIELDS.has(key) && typeof value === 'string' ? Buffer.from(value, 'hex').toString('base64') : value;
}

export const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
export const SPAN_ID = 'b7ad6b7169203331';
export const START_NS = 1_790_000_000_123_456_789n;

/** Plain values as OTLP/JSON attributes: integers as intValue, other numbers as doubleValue. */
export function attributes(values: Record<string, unknown>): KeyValueJson[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: unknown): AnyValueJson {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'bigint') return { intValue: value.toString() };
  if (typeof value === 'number') return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  if (typeof value === 'object' && value !== null)
    return { kvlistValue: { values: attributes(value as Record<string, unknown>) } };
  return {};
}

export function spanJson(values: Record<string, unknown> = {}, more: Partial<SpanJson> = {}): SpanJson {
  return {
    traceId: TRACE_ID,
    spanId: SPAN_ID,
    name: 'chat gpt-4o',
    kind: 3,
    startTimeUnixNano: START_NS.toString(),
    endTimeUnixNano: (START_NS + 1_500_000_000n).toString(),
    attributes: attributes(values),
    ...more,
  };
}

export function requestJson(
  spans: SpanJson[],
  resource: Record<string, unknown> = { 'service.name': 'shop' },
): RequestJson {
  return {
    resourceSpans: [
      {
        resource: { attributes: attributes(resource) },
        scopeSpans: [{ scope: { name: 'tests', version: '1.0.0' }, spans }],
      },
    ],
  };
}
