// Log records against independent encoders, in both encodings; what is refused, what is repaired; and that no bytes crash it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { attributes, encodeRequest, SPAN_ID, START_NS, TRACE_ID } from '../../test/wire.ts';
import { decodeLogsJson, decodeLogsProtobuf, MAX_LOG_RECORDS } from './logs.ts';
import type { DecodedLogs, LogRecord } from './logs.ts';
import { OtlpDecodeError } from './reader.ts';

type RecordJson = Record<string, unknown>;

function requestJson(records: RecordJson[]): object {
  return {
    resourceLogs: [
      {
        resource: { attributes: attributes({ 'service.name': 'shop', 'deployment.environment.name': 'prod' }) },
        scopeLogs: [{ scope: { name: 'tests', version: '1.0.0' }, logRecords: records, schemaUrl: 'urn:schema' }],
      },
    ],
  };
}

function record(more: RecordJson = {}): RecordJson {
  return {
    timeUnixNano: String(START_NS),
    observedTimeUnixNano: String(START_NS + 5n),
    severityNumber: 9,
    severityText: 'INFO',
    eventName: 'gen_ai.client.inference.operation.details',
    body: { stringValue: 'hello' },
    attributes: attributes({ 'gen_ai.request.model': 'gpt-4o', nested: { list: [1, 'two', true, { deep: 2.5 }] } }),
    traceId: TRACE_ID,
    spanId: SPAN_ID,
    flags: 1,
    ...more,
  };
}

const plain = ({ raw: _raw, context, ...rest }: LogRecord): object => {
  const { rawResource: _rawResource, rawScope: _rawScope, ...shared } = context;
  return { ...rest, context: shared };
};

/** Both encodings must agree; answers what protobuf said. */
function both(records: RecordJson[]): DecodedLogs {
  const request = requestJson(records);
  const protobuf = decodeLogsProtobuf(encodeRequest(request, 'ExportLogsServiceRequest'));
  const json = decodeLogsJson(JSON.stringify(request));
  assert.deepEqual(protobuf.records.map(plain), json.records.map(plain));
  assert.deepEqual(protobuf.rejected, json.rejected);
  assert.equal(protobuf.recordCount, json.recordCount);
  return protobuf;
}

function one(more: RecordJson): LogRecord {
  const { records } = both([record(more)]);
  assert.equal(records.length, 1);
  return records[0]!;
}

test('a record is read with everything that it says', () => {
  const read = one({});
  assert.equal(read.timeNs, START_NS);
  assert.equal(read.observedNs, START_NS + 5n);
  assert.equal(read.severityNumber, 9);
  assert.equal(read.severityText, 'INFO');
  assert.equal(read.eventName, 'gen_ai.client.inference.operation.details');
  assert.equal(read.body, 'hello');
  assert.deepEqual({ ...read.attributes }['gen_ai.request.model'], 'gpt-4o');
  assert.deepEqual(JSON.parse(JSON.stringify(read.attributes.nested)), { list: [1, 'two', true, { deep: 2.5 }] });
  assert.equal(read.traceId, TRACE_ID);
  assert.equal(read.spanId, SPAN_ID);
  assert.equal(read.context.serviceName, 'shop');
  assert.equal(read.context.environment, 'prod');
  assert.equal(read.context.scopeName, 'tests');
  assert.equal(read.context.schemaUrl, 'urn:schema');
});

test('a structured body is read as JSON', () => {
  const body = { kvlistValue: { values: attributes({ role: 'user', content: 'Where is my order?', n: 3 }) } };
  assert.deepEqual(JSON.parse(JSON.stringify(one({ body }).body)), {
    role: 'user',
    content: 'Where is my order?',
    n: 3,
  });
});

test('without a time of its own a record has that of its observation; without either none', () => {
  assert.equal(one({ timeUnixNano: '0' }).timeNs, START_NS + 5n);
  assert.equal(one({ timeUnixNano: '0', observedTimeUnixNano: '0' }).timeNs, 0n);
});

test('an event names itself by its field, or by the older attribute', () => {
  assert.equal(
    one({ eventName: '', attributes: attributes({ 'event.name': 'gen_ai.choice' }) }).eventName,
    'gen_ai.choice',
  );
  assert.equal(one({ eventName: 'new', attributes: attributes({ 'event.name': 'old' }) }).eventName, 'new');
});

test('ids that cannot be ids are absent ones, and the record is kept', () => {
  for (const traceId of ['', '00'.repeat(16), 'abcd']) {
    const { traceId: read, spanId } = one({ traceId });
    assert.deepEqual([read, spanId], [undefined, undefined]);
  }
  const { traceId, spanId } = one({ spanId: '' });
  assert.deepEqual([traceId, spanId], [TRACE_ID, undefined]);
});

test('a record beyond the year 2262 is rejected alone', () => {
  const { records, rejected } = both([record({ timeUnixNano: String(2n ** 63n) }), record()]);
  assert.equal(records.length, 1);
  assert.equal(rejected.count, 1);
  assert.match(rejected.messages[0]!, /time of at most/);
});

test('a JSON record that is no record is rejected alone', () => {
  const { records, rejected } = decodeLogsJson(
    JSON.stringify(requestJson([record({ severityNumber: 'INFO' }), record({ traceId: 'zz' }), record()])),
  );
  assert.equal(records.length, 1);
  assert.equal(rejected.count, 2);
});

test('records beyond the limit are counted and rejected', () => {
  const { records, rejected, recordCount } = decodeLogsJson(
    JSON.stringify(requestJson(Array.from({ length: MAX_LOG_RECORDS + 3 }, () => ({ body: {} })))),
  );
  assert.deepEqual([records.length, rejected.count, recordCount], [MAX_LOG_RECORDS, 3, MAX_LOG_RECORDS + 3]);
});

test('any record that an encoder writes is read the same from both encodings', () => {
  const ns = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String);
  const text = fc.string({ unit: 'grapheme', maxLength: 60 });
  const arbitrary = fc.record({
    timeUnixNano: ns,
    observedTimeUnixNano: ns,
    severityNumber: fc.integer({ min: 0, max: 24 }),
    severityText: text,
    eventName: text,
    body: fc.oneof(
      text.map((stringValue) => ({ stringValue })),
      fc.dictionary(text, text, { maxKeys: 4 }).map((values) => ({ kvlistValue: { values: attributes(values) } })),
      fc.constant({}),
    ),
    attributes: fc.dictionary(text, fc.oneof(text, fc.integer(), fc.boolean()), { maxKeys: 5 }).map(attributes),
    droppedAttributesCount: fc.nat(),
  });
  fc.assert(fc.property(fc.array(arbitrary, { maxLength: 5 }), (records) => void both(records)));
});

/** Reads the bytes, or fails unless they are refused as bytes that are no request. */
function attempt(bytes: Uint8Array): void {
  try {
    decodeLogsProtobuf(bytes);
  } catch (error) {
    assert.ok(error instanceof OtlpDecodeError, String(error));
  }
}

test('no bytes crash the decoder: they are read, or refused as what they are', () => {
  const whole = encodeRequest(requestJson([record(), record()]), 'ExportLogsServiceRequest');
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
    fc.property(fc.jsonValue(), (value) => {
      for (const body of [
        value,
        { resourceLogs: value },
        requestJson([{ body: value, attributes: value }] as RecordJson[]),
      ]) {
        try {
          decodeLogsJson(JSON.stringify(body));
        } catch (error) {
          assert.ok(error instanceof OtlpDecodeError, String(error));
        }
      }
    }),
  );
});
