// Both encodings against independent encoders: whatever an official encoder writes, we read back the same.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { attributes, encodeRequest, requestJson, SPAN_ID, spanJson, START_NS, TRACE_ID } from '../../test/wire.ts';
import type { AnyValueJson, KeyValueJson, RequestJson, SpanJson } from '../../test/wire.ts';
import { trafficRequest } from '../../test/traffic.ts';
import type { Span } from '../span.ts';
import { decodeTracesProtobuf } from './decode.ts';
import { decodeTracesJson } from './json.ts';

/** Everything about a span but where it came from. */
function plain(span: Span): Record<string, unknown> {
  const { raw: _raw, context, origins: _origins, ...rest } = span;
  const { rawResource: _rawResource, rawScope: _rawScope, ...shared } = context;
  return { ...rest, context: shared, mappedFrom: span.mappedFrom, messages: span.messages };
}

function both(request: RequestJson): [protobuf: Span[], json: Span[]] {
  return [decodeTracesProtobuf(encodeRequest(request)).spans, decodeTracesJson(JSON.stringify(request)).spans];
}

function one(values: Record<string, unknown>, more: Partial<SpanJson> = {}): Span {
  const [protobuf, json] = both(requestJson([spanJson(values, more)]));
  assert.equal(protobuf.length, 1);
  assert.deepEqual(plain(protobuf[0]!), plain(json[0]!));
  return protobuf[0]!;
}

const id = (bytes: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .filter((array) => array.some((byte) => byte !== 0))
    .map((array) => Buffer.from(array).toString('hex'));

const text = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: 'grapheme', maxLength: 80 }));
const key = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.constantFrom(
    'gen_ai.request.model',
    'gen_ai.usage.input_tokens',
    'gen_ai.prompt',
    'lumina.tags',
    '__proto__',
    'constructor',
  ),
);

const { entry: keyValue } = fc.letrec<{ value: AnyValueJson; entry: KeyValueJson }>((tie) => ({
  entry: fc.record({ key, value: tie('value') }),
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.record({ stringValue: text }),
    fc.record({ boolValue: fc.boolean() }),
    fc.record({ intValue: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String) }),
    fc.record({ doubleValue: fc.double({ noNaN: true, noDefaultInfinity: true }) }),
    fc.record({ bytesValue: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('base64')) }),
    fc.constant({}),
    fc.record({ arrayValue: fc.record({ values: fc.array(tie('value'), { maxLength: 4 }) }) }),
    fc.record({ kvlistValue: fc.record({ values: fc.array(tie('entry'), { maxLength: 4 }) }) }),
  ),
}));

const time = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map(String);
const spanArbitrary: fc.Arbitrary<SpanJson> = fc.record({
  traceId: id(16),
  spanId: id(8),
  parentSpanId: fc.oneof(fc.constant(''), id(8)),
  traceState: text,
  name: text,
  kind: fc.nat(9),
  startTimeUnixNano: time,
  endTimeUnixNano: time,
  attributes: fc.array(keyValue, { maxLength: 12 }),
  droppedAttributesCount: fc.nat(),
  events: fc.array(fc.record({ timeUnixNano: time, name: text, attributes: fc.array(keyValue, { maxLength: 3 }) }), {
    maxLength: 3,
  }),
  links: fc.array(
    fc.record({ traceId: id(16), spanId: id(8), attributes: fc.array(keyValue, { maxLength: 2 }), flags: fc.nat() }),
    {
      maxLength: 2,
    },
  ),
  status: fc.record({ code: fc.nat(3), message: text }),
  flags: fc.nat(),
});

/** What an attribute value must read as, written down independently of the readers. */
function expected(value: AnyValueJson): unknown {
  if ('stringValue' in value) return cleaned(String(value.stringValue));
  if ('boolValue' in value) return value.boolValue;
  if ('intValue' in value)
    return Number.isSafeInteger(Number(value.intValue)) ? Number(value.intValue) : value.intValue;
  if ('doubleValue' in value) return Number(value.doubleValue) + 0;
  if ('bytesValue' in value) return value.bytesValue;
  if ('arrayValue' in value) return (value.arrayValue as { values: AnyValueJson[] }).values.map(expected);
  if ('kvlistValue' in value) return expectedMap((value.kvlistValue as { values: KeyValueJson[] }).values);
  return null;
}

function expectedMap(entries: readonly KeyValueJson[]): Record<string, unknown> {
  const map = Object.create(null) as Record<string, unknown>;
  for (const { key, value } of entries) map[cleaned(key)] = expected(value);
  return map;
}

function cleaned(value: string): string {
  return value.toWellFormed().replaceAll('\0', '\uFFFD');
}

test('what an official encoder writes is read back, from protobuf and from JSON alike', () => {
  fc.assert(
    fc.property(fc.array(spanArbitrary, { maxLength: 4 }), (spans) => {
      const [protobuf, json] = both(requestJson(spans));
      assert.deepEqual(protobuf.map(plain), json.map(plain));
      assert.equal(protobuf.length, spans.length);
      for (const [i, span] of protobuf.entries()) {
        const sent = spans[i]!;
        assert.equal(span.traceId, sent.traceId);
        assert.equal(span.spanId, sent.spanId);
        assert.equal(
          span.parentSpanId,
          sent.parentSpanId === '' || /^0*$/.test(sent.parentSpanId!) ? undefined : sent.parentSpanId,
        );
        assert.equal(span.startNs, BigInt(sent.startTimeUnixNano!));
        assert.equal(span.name, cleaned(sent.name!));
        assert.deepEqual(span.attributes, expectedMap(sent.attributes!));
        assert.equal(span.events.length, sent.events!.length);
        assert.equal(span.links.length, sent.links!.length);
      }
    }),
    { numRuns: 300 },
  );
});

test('realistic traffic reads the same from protobuf and from JSON', () => {
  const [protobuf, json] = both(trafficRequest(50, 7));
  assert.equal(protobuf.length, 50);
  assert.deepEqual(protobuf.map(plain), json.map(plain));
});

test('no bytes crash the reader: garbage is read or refused with a code', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        decodeTracesProtobuf(bytes);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'VALIDATION_FAILED');
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a valid request with any one byte changed is read or refused with a code', () => {
  const valid = encodeRequest(trafficRequest(2, 3));
  fc.assert(
    fc.property(fc.nat(valid.length - 1), fc.nat(255), (at, byte) => {
      const changed = Uint8Array.from(valid);
      changed[at] = byte;
      try {
        for (const span of decodeTracesProtobuf(changed).spans) void span.messages;
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'VALIDATION_FAILED');
      }
    }),
    { numRuns: 1_000 },
  );
});

test('nanoseconds are exact beyond what a double holds', () => {
  const span = one({});
  assert.equal(span.startNs, 1_790_000_000_123_456_789n);
  assert.equal(span.latencyMs, 1_500);
});

test('JSON takes 64-bit integers as text or as numbers, without losing a digit', () => {
  const asText = JSON.stringify(requestJson([spanJson({ big: 9_007_199_254_740_993n })]));
  const asNumber = asText.replace(/"(\d{19})"/g, '$1').replace('"9007199254740993"', '9007199254740993');
  assert.notEqual(asText, asNumber);
  const [span] = decodeTracesJson(asNumber).spans;
  assert.equal(span!.startNs, START_NS);
  assert.equal(span!.attributes.big, '9007199254740993');
  assert.deepEqual(plain(span!), plain(decodeTracesJson(asText).spans[0]!));
});

test('a long number inside a prompt stays text', () => {
  const prompt = 'count: 12345678901234567890, -9999999999999999999';
  assert.equal(one({ 'gen_ai.prompt': prompt }).attributes['gen_ai.prompt'], prompt);
});

test('JSON takes ids in upper case', () => {
  const request = requestJson([spanJson({}, { traceId: TRACE_ID.toUpperCase(), spanId: SPAN_ID.toUpperCase() })]);
  const [span] = decodeTracesJson(JSON.stringify(request)).spans;
  assert.equal(span!.traceId, TRACE_ID);
  assert.equal(span!.spanId, SPAN_ID);
});

test('unknown fields are ignored in both encodings', () => {
  const request = { ...requestJson([{ ...spanJson(), newField: { a: [1] } } as SpanJson]), other: 1 };
  assert.equal(decodeTracesJson(JSON.stringify(request)).spans.length, 1);
  const bytes = encodeRequest(requestJson([spanJson()]));
  const withUnknown = Uint8Array.from([...bytes, 0x7a, 0x03, 1, 2, 3, 0x80, 0x01, 0x05, 0x85, 0x01, 1, 2, 3, 4]);
  assert.equal(decodeTracesProtobuf(withUnknown).spans.length, 1);
});

test('snake_case names are unknown fields in JSON, as OTLP says', () => {
  assert.deepEqual(decodeTracesJson('{"resource_spans":[{}]}'), {
    spans: [],
    rejected: { count: 0, messages: [] },
    spanCount: 0,
  });
});

test('a resource that follows its spans on the wire still counts for them', () => {
  const full = encodeRequest(requestJson([spanJson()], {}));
  const resource = encodeRequest({
    resourceSpans: [{ resource: { attributes: attributes({ 'service.name': 'late' }) }, scopeSpans: [] }],
  });
  // both requests are one ResourceSpans each: join their contents, the resource last
  const inner = [...contents(full), ...contents(resource)];
  const [span] = decodeTracesProtobuf(Uint8Array.from([0x0a, ...varint(inner.length), ...inner])).spans;
  assert.equal(span!.serviceName, 'late');
});

function contents(request: Uint8Array): Uint8Array {
  const lengthBytes = request.findIndex((byte, i) => i > 0 && byte < 0x80);
  return request.subarray(lengthBytes + 1);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

test('an empty request is a success with nothing in it', () => {
  assert.equal(decodeTracesProtobuf(new Uint8Array(0)).spanCount, 0);
  assert.equal(decodeTracesJson('{}').spanCount, 0);
});

test('service, environment, scope and schema come from where they belong', () => {
  const [span] = both(
    requestJson([spanJson()], {
      'service.name': 'shop',
      'service.version': '2',
      'deployment.environment': 'old',
      'deployment.environment.name': 'new',
    }),
  )[0];
  assert.equal(span!.serviceName, 'shop');
  assert.equal(span!.context.serviceVersion, '2');
  assert.equal(span!.environment, 'new');
  assert.equal(span!.context.scopeName, 'tests');
  assert.deepEqual(Object.keys(span!.attributes), []);
  assert.equal(both(requestJson([spanJson()], {}))[0][0]!.serviceName, 'unknown_service');
  assert.equal(one({ 'lumina.environment': 'staging' }).environment, 'staging');
});

function rawHex(values: Record<string, unknown>): string {
  const { spans } = decodeTracesProtobuf(encodeRequest(requestJson([spanJson(values)])));
  return Buffer.from(spans[0]!.raw as Uint8Array).toString('hex');
}

test('the raw span is the same for the same bytes and differs for others', () => {
  assert.equal(rawHex({ a: 1 }), rawHex({ a: 1 }));
  assert.notEqual(rawHex({ a: 1 }), rawHex({ a: 2 }));
  const json = decodeTracesJson(JSON.stringify(requestJson([spanJson({ a: 1 })]))).spans[0]!;
  assert.equal(json.raw, JSON.stringify(spanJson({ a: 1 })));
});

const fixtures = join(import.meta.dirname, '../../../../fixtures/otlp');

for (const name of ['current', 'older']) {
  test(`the ${name} request of the official SDK's exporter reads the same from protobuf and JSON`, () => {
    const protobuf = decodeTracesProtobuf(readFileSync(join(fixtures, `${name}.pb`)));
    const json = decodeTracesJson(readFileSync(join(fixtures, `${name}.json`)));
    assert.deepEqual(protobuf.rejected, { count: 0, messages: [] });
    assert.deepEqual(protobuf.spans.map(plain), json.spans.map(plain));
    assert.ok(protobuf.spans.length >= 2);
  });
}
