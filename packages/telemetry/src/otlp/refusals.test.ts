// Bad input: what is refused, what is repaired and noted, and that the rest of the batch is kept.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attributes, encodeRequest, requestJson, SPAN_ID, spanJson, START_NS } from '../../test/wire.ts';
import type { SpanJson } from '../../test/wire.ts';
import { priceOfSpan } from '../cost.ts';
import type { Span } from '../span.ts';
import type { DecodedTraces } from './build.ts';
import { decodeTracesProtobuf } from './decode.ts';
import { decodeTracesJson } from './json.ts';
import { OtlpDecodeError } from './reader.ts';

const GOOD = spanJson({}, { spanId: '00f067aa0ba902b7', name: 'good' });

/** Both encodings must agree; answers one of them. */
function decodeBoth(spans: SpanJson[]): DecodedTraces {
  const request = requestJson(spans);
  const protobuf = decodeTracesProtobuf(encodeRequest(request));
  const json = decodeTracesJson(JSON.stringify(request));
  assert.deepEqual(protobuf.rejected, json.rejected);
  assert.equal(protobuf.spanCount, json.spanCount);
  return protobuf;
}

function spanOf(values: Record<string, unknown>, more: Partial<SpanJson> = {}): Span {
  const { spans } = decodeBoth([spanJson(values, more)]);
  assert.equal(spans.length, 1);
  return spans[0]!;
}

const REFUSED: readonly [what: string, bad: Partial<SpanJson>, message: RegExp][] = [
  ['a trace id that is too short', { traceId: 'abcd' }, /trace id of 32 hex digits.*4 digits/],
  ['a trace id that is too long', { traceId: 'ab'.repeat(20) }, /trace id of 32 hex digits.*40 digits/],
  ['no trace id', { traceId: '' }, /trace id of 32 hex digits.*0 digits/],
  ['a trace id of zeros', { traceId: '0'.repeat(32) }, /trace id.*only zeros/],
  ['a span id of the wrong length', { spanId: 'abcdef' }, /span id of 16 hex digits.*6 digits/],
  ['a span id of zeros', { spanId: '0'.repeat(16) }, /span id.*only zeros/],
  ['a parent id of the wrong length', { parentSpanId: 'abcdef' }, /parent span id of 16 hex digits.*6 digits/],
  ['no start time', { startTimeUnixNano: '0' }, /start time/],
  ['a start beyond the year 2262', { startTimeUnixNano: '9223372036854775808' }, /start time/],
  ['an end beyond the year 2262', { endTimeUnixNano: '18446744073709551615' }, /end time/],
];

for (const [what, bad, message] of REFUSED) {
  test(`a span with ${what} is rejected alone`, () => {
    const { spans, rejected, spanCount } = decodeBoth([spanJson({}, bad), GOOD]);
    assert.deepEqual(
      spans.map(({ name }) => name),
      ['good'],
    );
    assert.equal(rejected.count, 1);
    assert.equal(spanCount, 2);
    assert.match(rejected.messages[0]!, message);
  });
}

const REFUSED_JSON: readonly [what: string, bad: Record<string, unknown>, message: RegExp][] = [
  ['an id that is not hex', { traceId: 'z'.repeat(32) }, /hex digits for traceId/],
  ['an enum by name', { kind: 'SPAN_KIND_CLIENT' }, /integer for kind/],
  ['a name that is no text', { name: 5 }, /text for name but received 5/],
  ['attributes that are no array', { attributes: {} }, /array.*attributes/],
  [
    'a fraction for an integer',
    { attributes: [{ key: 'a', value: { intValue: 1.5 } }] },
    /64-bit integer for intValue/,
  ],
  [
    'an integer beyond 64 bits',
    { attributes: [{ key: 'a', value: { intValue: '9223372036854775808' } }] },
    /64-bit integer/,
  ],
  ['a time that is no integer', { startTimeUnixNano: '2026-11-01' }, /startTimeUnixNano/],
  ['bytes that are no base64', { attributes: [{ key: 'a', value: { bytesValue: '%%%' } }] }, /base64/],
];

for (const [what, bad, message] of REFUSED_JSON) {
  test(`a JSON span with ${what} is rejected alone`, () => {
    const request = requestJson([{ ...spanJson(), ...bad } as SpanJson, GOOD]);
    const { spans, rejected } = decodeTracesJson(JSON.stringify(request));
    assert.deepEqual(
      spans.map(({ name }) => name),
      ['good'],
    );
    assert.equal(rejected.count, 1);
    assert.match(rejected.messages[0]!, message);
  });
}

test('a protobuf request cut at any byte is refused as a whole or was complete there', () => {
  const bytes = encodeRequest(requestJson([spanJson({ 'gen_ai.prompt': 'hello', n: 1.5, list: ['a', 2] }), GOOD]));
  for (let length = 1; length < bytes.length; length++) {
    assert.throws(() => decodeTracesProtobuf(bytes.subarray(0, length)), {
      code: 'VALIDATION_FAILED',
      name: 'OtlpDecodeError',
    });
  }
});

const GARBLED: readonly [what: string, bytes: number[]][] = [
  ['a length beyond the message', [0x0a, 0x7f]],
  ['a varint of eleven bytes', [0x0a, ...Array.from({ length: 11 }, () => 0x80)]],
  ['a length of more than 32 bits', [0x0a, 0x80, 0x80, 0x80, 0x80, 0x10]],
  ['field number 0', [0x02, 0x00]],
  ['an unknown wire type', [0x0f]],
  ['groups inside each other without end', Array.from({ length: 100 }, () => 0x1b)],
  ['JSON under the wrong content type', [...Buffer.from('{"resourceSpans":[]}')]],
];

for (const [what, bytes] of GARBLED) {
  test(`protobuf with ${what} is refused with a code`, () => {
    assert.throws(() => decodeTracesProtobuf(Uint8Array.from(bytes)), { code: 'VALIDATION_FAILED' });
  });
}

for (const body of [
  '',
  'null',
  '[]',
  '7',
  '"x"',
  '{',
  '{"resourceSpans":{}}',
  '{"resourceSpans":[1]}',
  '{"resourceSpans":[{"scopeSpans":7}]}',
]) {
  test(`JSON ${JSON.stringify(body)} is refused with a code`, () => {
    assert.throws(() => decodeTracesJson(body), OtlpDecodeError);
  });
}

test('JSON that is not UTF-8 is refused with a code', () => {
  assert.throws(() => decodeTracesJson(Uint8Array.from([0x7b, 0xff, 0x7d])), { code: 'VALIDATION_FAILED' });
});

test('JSON nested a hundred thousand deep is refused or read, never a crash', () => {
  const deep = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"a","value":${'{"arrayValue":{"values":['.repeat(50_000)}${']}}'.repeat(50_000)}}]}]}]}]}`;
  assert.equal(decodeTracesJson(deep).rejected.count, 1);
});

test('unknown fields nested without end refuse the span, the resource nested without end the request', () => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  const request = JSON.stringify(requestJson([{ ...spanJson(), extra: 0 } as SpanJson, GOOD])).replace(
    '"extra":0',
    `"extra":${deep}`,
  );
  const { spans, rejected } = decodeTracesJson(request);
  assert.deepEqual([spans.length, rejected.count], [1, 1]);
  assert.throws(() => decodeTracesJson(`{"resourceSpans":[{"resource":{"extra":${deep}}}]}`), {
    code: 'VALIDATION_FAILED',
  });
});

test('of 10,000 attributes the first 1,000 are kept, the rest counted, and recognised keys read wherever they stand', () => {
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`key.${i}`, i]));
  const span = spanOf({ ...many, 'gen_ai.request.model': 'gpt-4o' });
  assert.equal(Object.keys(span.attributes).length, 1_001);
  assert.equal(span.droppedAttributes, 9_000);
  assert.equal(span.requestModel, 'gpt-4o');
  assert.equal(span.attributes['key.999'], 999);
  assert.equal(span.attributes['key.1000'], undefined);
});

test('values nested deeper than 32 levels are null below it', () => {
  let value: unknown = 'bottom';
  for (let i = 0; i < 40; i++) value = [value];
  const span = spanOf({ deep: value });
  assert.ok(!JSON.stringify(span.attributes).includes('bottom'));
});

test('more spans than one request may hold are rejected and counted', () => {
  const spans = Array.from({ length: 5 }, (_, i) => spanJson({}, { spanId: `000000000000000${i + 1}` }));
  const bytes = encodeRequest(requestJson(spans));
  const { spans: kept, rejected, spanCount } = decodeTracesProtobuf(bytes, { maxSpans: 3 });
  assert.equal(kept.length, 3);
  assert.equal(rejected.count, 2);
  assert.equal(spanCount, 5);
  assert.deepEqual(decodeTracesJson(JSON.stringify(requestJson(spans)), { maxSpans: 3 }).rejected, rejected);
});

test('sentences about rejected spans are at most ten, the count is exact', () => {
  const spans = Array.from({ length: 50 }, (_, i) => spanJson({}, { spanId: 'a'.repeat(i + 17) }));
  const { rejected } = decodeTracesJson(JSON.stringify(requestJson(spans)));
  assert.equal(rejected.count, 50);
  assert.equal(rejected.messages.length, 10);
});

test('a span without status is unset', () => {
  assert.equal(spanOf({}, { status: undefined } as Partial<SpanJson>).status, 'unset');
  assert.equal(spanOf({}, { status: {} }).status, 'unset');
  assert.equal(spanOf({}, { status: { code: 2, message: 'quota' } }).status, 'error');
  assert.equal(spanOf({}, { status: { code: 77 } }).status, 'unset');
});

test('a span that ends before its start is kept with no duration and a note', () => {
  const span = spanOf({}, { endTimeUnixNano: (START_NS - 5n).toString() });
  assert.equal(span.endNs, START_NS);
  assert.equal(span.latencyMs, 0);
  assert.match(span.issues[0]!, /5 ns before/);
});

test('a span without an end is kept with no duration and a note', () => {
  const span = spanOf({}, { endTimeUnixNano: '0' });
  assert.equal(span.durationNs, 0n);
  assert.match(span.issues[0]!, /no end time/);
});

test('NUL and lone surrogates become U+FFFD in names, keys, values and nested values', () => {
  const json = JSON.stringify(
    requestJson([spanJson({ 'a\u0000b': 'x\u0000y', list: ['\ud800', { k: '\udc00z' }] }, { name: 'n\u0000\ud83d' })]),
  );
  const [span] = decodeTracesJson(json).spans;
  assert.equal(span!.name, 'n\uFFFD\uFFFD');
  assert.equal(span!.attributes['a\uFFFDb'], 'x\uFFFDy');
  assert.equal(JSON.stringify(span!.attributes.list), '["\uFFFD",{"k":"\uFFFDz"}]');
  const fromProtobuf = spanOf({ 'gen_ai.prompt': `${'long '.repeat(40)}\u0000 end`, short: '\u0000' });
  assert.ok(!JSON.stringify(fromProtobuf.attributes).includes('\\u0000'));
  assert.equal(fromProtobuf.attributes.short, '\uFFFD');
});

test('escaped NUL and surrogates inside JSON content do not come back when the content is parsed', () => {
  const prompt = '[{"role":"user","content":"a\\u0000b\\ud800c"}]';
  const [part] = spanOf({ 'gen_ai.prompt': prompt }).messages.input[0]!.parts;
  assert.deepEqual(part, { type: 'text', content: 'a\uFFFDb\uFFFDc' });
});

test('malformed UTF-8 in protobuf text becomes U+FFFD', () => {
  const bytes = encodeRequest(requestJson([spanJson({ odd: 'abXYcd' })]));
  const at = Buffer.from(bytes).indexOf('XY');
  bytes.set([0xff, 0xc0], at);
  assert.equal(decodeTracesProtobuf(bytes).spans[0]!.attributes.odd, 'ab\uFFFD\uFFFDcd');
});

for (const [what, tokens] of [
  ['2^63 − 1', 2n ** 63n - 1n],
  ['2^53', 2n ** 53n],
  ['a trillion and one', 1_000_000_000_001n],
  ['−5', -5n],
] as const) {
  test(`a token count of ${what} is ignored with a note, and nothing is priced with it`, () => {
    const span = spanOf({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-4o',
      'gen_ai.usage.input_tokens': tokens,
    });
    assert.equal(span.inputTokens, undefined);
    assert.match(span.issues[0]!, /gen_ai\.usage\.input_tokens/);
    assert.deepEqual(priceOfSpan(span), { unpriced: 'no_usage' });
    assert.equal(
      span.attributes['gen_ai.usage.input_tokens'],
      tokens === -5n || tokens === 1_000_000_000_001n ? Number(tokens) : tokens.toString(),
    );
  });
}

test('a negative or non-numeric cost from the client is ignored with a note', () => {
  for (const cost of [-0.5, '-1', 'free', true]) {
    const span = spanOf({ 'lumina.cost_usd': cost });
    assert.equal(span.clientCostUsd, undefined);
    assert.match(span.issues[0]!, /lumina\.cost_usd/);
  }
});

test('spans with the same id stay both, in order: which one counts is decided where they are stored', () => {
  const { spans } = decodeBoth([spanJson({}, { name: 'first' }), spanJson({}, { name: 'second' })]);
  assert.deepEqual(
    spans.map(({ name, spanId }) => [name, spanId]),
    [
      ['first', SPAN_ID],
      ['second', SPAN_ID],
    ],
  );
});

test('labels are cut to 200 characters and names to 1,000 between words, each with a note; the attribute keeps all', () => {
  const long = '🙂'.repeat(150);
  const span = spanOf({ 'user.id': long }, { name: `${'n'.repeat(999)} ${'m'.repeat(5_000)}` });
  assert.equal(span.userId!.length, 200);
  assert.ok(span.userId!.isWellFormed());
  assert.equal(span.attributes['user.id'], long);
  assert.equal(span.name, 'n'.repeat(999));
  assert.equal(span.issues.length, 2);
});

test('absurd counts of dropped things fit a signed 32-bit column', () => {
  assert.equal(spanOf({}, { droppedAttributesCount: 4_294_967_295 }).droppedAttributes, 2_147_483_647);
});

test('an attribute called __proto__ is an attribute like any other', () => {
  const span = spanOf(
    { nested: { deep: 1 } },
    { attributes: [...attributes({ a: 1 }), { key: '__proto__', value: { stringValue: 'x' } }] },
  );
  assert.equal(span.attributes['__proto__'], 'x');
  assert.equal(span.attributes.toString, undefined);
});

test('a resource or scope with values that JSON does not allow is a coded error', () => {
  const wrong = { attributes: [{ key: 'service.name', value: { stringValue: 5 } }] };
  const spans = [spanJson()];
  for (const group of [{ resource: wrong, scopeSpans: [{ spans }] }, { scopeSpans: [{ scope: { name: 7 }, spans }] }]) {
    assert.throws(() => decodeTracesJson(JSON.stringify({ resourceSpans: [group] })), OtlpDecodeError);
  }
});
