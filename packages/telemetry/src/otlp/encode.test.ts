// Answers against the independent decoder: what a client of OTLP reads is what was meant.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtobufTraceSerializer, JsonTraceSerializer } from '@opentelemetry/otlp-transformer';
import fc from 'fast-check';
import { decode } from '../../test/wire.ts';
import { encodeExportResponse, encodeStatus, exportResponseJson, RPC_CODE, statusJson } from './encode.ts';

test('a full success leaves partial_success unset', () => {
  assert.equal(encodeExportResponse().length, 0);
  assert.deepEqual(decode('ExportTraceServiceResponse', encodeExportResponse()), {});
  assert.equal(exportResponseJson('rejectedSpans'), '{}');
});

test('any partial success is read back by protobufjs', () => {
  const message = fc.string({ unit: 'grapheme', minLength: 1 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), message, (rejectedSpans, errorMessage) => {
      const read = decode(
        'ExportTraceServiceResponse',
        encodeExportResponse({ rejected: rejectedSpans, errorMessage }),
      );
      assert.deepEqual(read, { partialSuccess: { rejectedSpans: String(rejectedSpans), errorMessage } });
    }),
  );
});

test("the official exporter's own reader understands a partial success in both encodings", () => {
  const partial = { rejected: 3, errorMessage: 'bad ids' };
  const fromProtobuf = ProtobufTraceSerializer.deserializeResponse(encodeExportResponse(partial));
  assert.equal(Number(fromProtobuf.partialSuccess?.rejectedSpans), 3);
  assert.equal(fromProtobuf.partialSuccess?.errorMessage, 'bad ids');
  const json = exportResponseJson('rejectedSpans', partial);
  const fromJson = JsonTraceSerializer.deserializeResponse(new TextEncoder().encode(json));
  assert.equal(Number(fromJson.partialSuccess?.rejectedSpans), 3);
  assert.equal(fromJson.partialSuccess?.errorMessage, 'bad ids');
});

test('any status is read back by protobufjs', () => {
  const message = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 500 });
  fc.assert(
    fc.property(fc.constantFrom(...Object.values(RPC_CODE)), message, (code, text) => {
      assert.deepEqual(decode('RpcStatus', encodeStatus({ code, message: text })), { code, message: text });
    }),
  );
  assert.equal(statusJson({ code: 3, message: 'bad' }), '{"code":3,"message":"bad"}');
});

test('a status that asks for patience carries a google.rpc.RetryInfo', () => {
  const status = decode('RpcStatus', encodeStatus({ code: RPC_CODE.unavailable, message: 'later' }, 7));
  const details = status.details as Array<{ typeUrl: string; value: Uint8Array }>;
  assert.equal(details.length, 1);
  assert.equal(details[0]?.typeUrl, 'type.googleapis.com/google.rpc.RetryInfo');
  assert.deepEqual(decode('RetryInfo', details[0]!.value), { retryDelay: { seconds: '7' } });
});
