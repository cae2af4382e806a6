// OTLP over a real socket: the answers that the specification asks for, and every bad input that the world has sent.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { NOW_MS, otlpJson, type OtlpSpan } from '../ingest/fixtures/room.ts';
import { serve } from '../ingest/fixtures/serve.ts';

const served = await serve();
after(() => served.close());
const tenantId = await served.newTenant();

const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const JSON_TYPE = { 'content-type': 'application/json' };
let lastTrace = 0;

function span(overrides: Partial<OtlpSpan> = {}): OtlpSpan {
  lastTrace++;
  return {
    traceId: lastTrace.toString(16).padStart(32, '0'),
    spanId: 'b7ad6b7169203331',
    name: 'chat gpt-4o',
    startNs: NOW_NS - 60_000_000_000n,
    endNs: NOW_NS - 58_000_000_000n,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-4o',
      'gen_ai.usage.input_tokens': 1_000,
      'gen_ai.usage.output_tokens': 500,
    },
    ...overrides,
  };
}

const bodyOf = (...spans: OtlpSpan[]): string => otlpJson(spans, { 'service.name': 'otlp-test' });

async function sendJson(...spans: OtlpSpan[]): Promise<{ status: number; body: unknown }> {
  const response = await served.post(tenantId, bodyOf(...spans), JSON_TYPE);
  return { status: response.status, body: await response.json() };
}

interface Shown {
  cost_usd: string | null;
  cost_priced_usd: string;
  prompt_tokens: number;
  latency_ms: number;
  status: string;
  name: string;
  spans: Array<{
    name: string;
    issues: string[];
    attributes: Record<string, unknown>;
    client_cost_usd: string | null;
    dropped: { attributes: number };
  }>;
}

async function shown({ traceId }: OtlpSpan): Promise<Shown> {
  const { status, body } = await served.get<Shown>(tenantId, `/api/traces/${traceId}`);
  assert.equal(status, 200);
  return body;
}

/** google.rpc.Status as protobuf: code = 1 (varint), message = 2. */
function statusOf(bytes: Uint8Array): { code: number; message: string } {
  assert.equal(bytes[0], 0x08);
  assert.equal(bytes[2], 0x12);
  return { code: bytes[1] as number, message: Buffer.from(bytes.subarray(4)).toString('utf8') };
}

test('everything taken: 200, an empty message, the type of the request', async () => {
  const asJson = await served.post(tenantId, bodyOf(span()), JSON_TYPE);
  assert.deepEqual(
    [asJson.status, asJson.headers.get('content-type'), await asJson.text()],
    [200, 'application/json', '{}'],
  );
  const asProtobuf = await served.post(tenantId, new Uint8Array());
  assert.equal(asProtobuf.status, 200);
  assert.equal(asProtobuf.headers.get('content-type'), 'application/x-protobuf');
  assert.equal((await asProtobuf.arrayBuffer()).byteLength, 0);
});

test('requests of the official exporter are taken in both encodings and say the same', async () => {
  const [asProtobuf, asJson] = await Promise.all([
    readFile(new URL('../../../../fixtures/otlp/current.pb', import.meta.url)),
    readFile(new URL('../../../../fixtures/otlp/current.json', import.meta.url)),
  ]);
  const recorded = /"startTimeUnixNano":\s*"?(\d+)/.exec(asJson.toString('utf8'))?.[1] ?? '0';
  served.clock.nowMs = Number(BigInt(recorded) / 1_000_000n) + 3_600_000;
  const tenant = await served.newTenant();
  assert.equal((await served.post(tenant, asProtobuf)).status, 200);
  const before = served.ingest.counts();
  const again = await served.post(tenant, asJson, JSON_TYPE);
  assert.deepEqual([again.status, await again.text()], [200, '{}']);
  const list = await served.get<{ data: unknown[] }>(tenant, '/api/traces');
  assert.ok(list.body.data.length > 0);
  assert.equal(served.ingest.counts().stored > before.stored, true);
  served.clock.nowMs = NOW_MS;
});

test('gzip, deflate and zstd are taken; a stack of encodings or an unknown one is 415', async () => {
  const encoders: Array<[string, Buffer]> = [
    ['gzip', gzipSync(bodyOf(span()))],
    ['deflate', deflateSync(bodyOf(span()))],
    ['zstd', zstdCompressSync(bodyOf(span()))],
  ];
  for (const [name, body] of encoders) {
    const response = await served.post(tenantId, body, { ...JSON_TYPE, 'content-encoding': name });
    assert.equal(response.status, 200, name);
  }
  for (const name of ['gzip, gzip', 'br', 'compress']) {
    const response = await served.post(tenantId, gzipSync(bodyOf(span())), { ...JSON_TYPE, 'content-encoding': name });
    assert.equal(response.status, 415, name);
    assert.equal(((await response.json()) as { code: number }).code, 3);
  }
});

test('no credentials, unknown ones and a missing scope are google.rpc.Status in the encoding of the request', async () => {
  const cases: Array<[Record<string, string>, number, number]> = [
    [{}, 401, 16],
    [{ authorization: 'Bearer nonsense' }, 401, 16],
    [{ authorization: `Bearer ${tenantId} traces:read` }, 403, 7],
  ];
  for (const [headers, status, code] of cases) {
    const asProtobuf = await served.post(undefined, new Uint8Array(), headers);
    assert.equal(asProtobuf.status, status);
    assert.equal(asProtobuf.headers.get('content-type'), 'application/x-protobuf');
    assert.equal(statusOf(new Uint8Array(await asProtobuf.arrayBuffer())).code, code);
    const asJson = await served.post(undefined, '{}', { ...JSON_TYPE, ...headers });
    assert.equal(asJson.status, status);
    assert.equal(((await asJson.json()) as { code: number }).code, code);
  }
});

test('another content type is 415 with a Status as JSON', async () => {
  for (const type of ['text/plain', 'application/grpc', 'application/protobuf2', 'multipart/form-data']) {
    const response = await served.post(tenantId, '{}', { 'content-type': type });
    assert.equal(response.status, 415, type);
    assert.equal(response.headers.get('content-type'), 'application/json');
    assert.match(((await response.json()) as { message: string }).message, /UNSUPPORTED_MEDIA_TYPE/);
  }
});

test('truncated protobuf, garbled protobuf and broken JSON are 400 and store nothing', async () => {
  const whole = await readFile(new URL('../../../../fixtures/otlp/current.pb', import.meta.url));
  const before = served.ingest.counts().stored;
  for (const length of [1, 10, 100, whole.length - 1]) {
    const response = await served.post(tenantId, whole.subarray(0, length));
    assert.equal(response.status, 400, `${length} bytes`);
    const status = statusOf(new Uint8Array(await response.arrayBuffer()));
    assert.equal(status.code, 3);
    assert.match(status.message, /VALIDATION_FAILED/);
  }
  assert.equal((await served.post(tenantId, Buffer.alloc(300, 0xff))).status, 400);
  for (const text of ['', '{', '[]', '"x"', 'null', '{"resourceSpans":{}}', '{"resourceSpans":[{"scopeSpans":7}]}']) {
    const response = await served.post(tenantId, text, JSON_TYPE);
    assert.equal(response.status, 400, text);
    assert.equal(((await response.json()) as { code: number }).code, 3);
  }
  assert.equal(served.ingest.counts().stored, before);
});

test('what is named gzip and is none, or ends early, is 400', async () => {
  const gzip = { ...JSON_TYPE, 'content-encoding': 'gzip' };
  assert.equal((await served.post(tenantId, bodyOf(span()), gzip)).status, 400);
  const whole = gzipSync(bodyOf(span()));
  assert.equal((await served.post(tenantId, whole.subarray(0, whole.length - 9), gzip)).status, 400);
  const flipped = Buffer.from(whole);
  flipped[flipped.length - 6] = (flipped[flipped.length - 6] ?? 0) ^ 0xff;
  assert.equal((await served.post(tenantId, flipped, gzip)).status, 400, 'a wrong checksum');
});

test('a bomb is 413 as soon as it swells beyond 64 MiB, and memory stays small', async () => {
  const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024), { level: 9 });
  assert.ok(bomb.length < 250_000);
  const before = process.memoryUsage().rss;
  const response = await served.post(tenantId, bomb, { 'content-encoding': 'gzip' });
  assert.equal(response.status, 413);
  assert.equal(statusOf(new Uint8Array(await response.arrayBuffer())).code, 8);
  assert.ok(process.memoryUsage().rss - before < 160 * 1024 * 1024);
});

test('more than 64 MiB as sent is 413, told by its length or counted as it comes', async () => {
  const head = `POST /v1/traces HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${tenantId}\r\ncontent-type: application/json\r\n`;
  const told = await raw(`${head}content-length: 67108865\r\n\r\n`);
  assert.match(told, /^HTTP\/1\.1 413 /);
  const chunk = Buffer.alloc(1024 * 1024, 0x20);
  const body = Array.from({ length: 65 }, () => chunk);
  const counted = await raw(`${head}transfer-encoding: chunked\r\n\r\n`, body);
  assert.match(counted, /^HTTP\/1\.1 413 /);
});

/** Sends the head and the chunks; what comes back until the connection ends or the answer is whole. */
function raw(head: string, chunks: readonly Buffer[] = []): Promise<string> {
  const { port } = new URL(served.url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), '127.0.0.1');
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString('latin1');
      if (answer.includes('\r\n\r\n')) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
    socket.write(head);
    for (const chunk of chunks) {
      socket.write(`${chunk.length.toString(16)}\r\n`);
      socket.write(chunk);
      socket.write('\r\n');
    }
  });
}

test('a body that does not come is 408', async () => {
  const slow = await serve({ bodyTimeoutMs: 100 });
  try {
    const tenant = await slow.newTenant();
    const socket = connect(Number(new URL(slow.url).port), '127.0.0.1');
    const answer = await new Promise<string>((resolve) => {
      socket.once('data', (data) => resolve(data.toString('latin1')));
      socket.write(
        `POST /v1/traces HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${tenant}\r\n` +
          'content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"resource',
      );
    });
    socket.destroy();
    assert.match(answer, /^HTTP\/1\.1 408 /);
  } finally {
    await slow.close();
  }
});

test('ids of a wrong length or of zeros reject their span alone, and partial success says so', async () => {
  const good = span();
  const { status, body } = await sendJson(
    { ...span(), traceId: 'abc' },
    { ...span(), spanId: '00'.repeat(8) },
    { ...span(), traceId: '00'.repeat(16) },
    { ...span(), parentSpanId: '1234' },
    good,
  );
  assert.equal(status, 200);
  const { partialSuccess } = body as { partialSuccess: { rejectedSpans: string; errorMessage: string } };
  assert.equal(partialSuccess.rejectedSpans, '4');
  assert.match(partialSuccess.errorMessage, /trace id|span id/);
  assert.equal((await shown(good)).name, 'chat gpt-4o');
});

test('a span with 10,000 attributes is kept with the first 1,000 and the fields that matter; the rest is counted', async () => {
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`a${i}`, i]));
  const wide = span({ attributes: { ...many, ...span().attributes } });
  assert.deepEqual(await sendJson(wide), { status: 200, body: {} });
  const trace = await shown(wide);
  assert.equal(trace.cost_usd, '0.0075');
  assert.equal(trace.spans[0]?.dropped.attributes, 9_000);
  assert.equal(Object.keys(trace.spans[0]?.attributes ?? {}).length, 1_005);
});

test('a missing status is unset, and a span that ends before it starts has no latency and says why', async () => {
  const backwards = span({ startNs: NOW_NS - 1_000n, endNs: NOW_NS - 2_000n });
  assert.deepEqual(await sendJson(backwards), { status: 200, body: {} });
  const trace = await shown(backwards);
  assert.equal(trace.status, 'unset');
  assert.equal(trace.latency_ms, 0);
  assert.match(trace.spans[0]?.issues.join() ?? '', /end/);
});

test('NUL and lone surrogates in names, attributes and keys become U+FFFD', async () => {
  const odd = span({
    name: 'a\0b',
    attributes: { 'k\0': 'v\0', lone: '\ud800x', ...span().attributes, 'user.id': 'u\0' },
  });
  assert.deepEqual(await sendJson(odd), { status: 200, body: {} });
  const trace = await shown(odd);
  assert.equal(trace.name, 'a\ufffdb');
  assert.equal(trace.spans[0]?.attributes['k\ufffd'], 'v\ufffd');
  assert.equal(trace.spans[0]?.attributes['lone'], '\ufffdx');
});

test('2^63 − 1 tokens and a negative cost are left out with a note; the sums stay right', async () => {
  const traceId = 'aa'.repeat(16);
  const odd = { ...span().attributes, 'lumina.cost_usd': -5, 'gen_ai.usage.input_tokens': 77 };
  const text = bodyOf(span({ traceId, attributes: odd })).replace('"77"', '"9223372036854775807"');
  assert.deepEqual(await (await served.post(tenantId, text, JSON_TYPE)).json(), {});
  const trace = await shown(span({ traceId }));
  assert.equal(trace.prompt_tokens, 0);
  // without its input the call has no price: the output alone would look complete and be too low
  assert.equal(trace.cost_usd, null);
  assert.equal(trace.cost_priced_usd, '0');
  assert.equal(trace.spans[0]?.client_cost_usd, null);
  assert.equal(trace.spans[0]?.issues.length, 2);
});

test('2^63 tokens are no 64-bit integer: that span is rejected by name, the others kept', async () => {
  const good = span();
  const wrong = span({ attributes: { 'gen_ai.usage.input_tokens': 77 } });
  const text = bodyOf(wrong, good).replace('"77"', '"9223372036854775808"');
  const answer = (await (await served.post(tenantId, text, JSON_TYPE)).json()) as {
    partialSuccess: { rejectedSpans: string; errorMessage: string };
  };
  assert.equal(answer.partialSuccess.rejectedSpans, '1');
  assert.match(answer.partialSuccess.errorMessage, /64-bit integer/);
  assert.equal((await shown(good)).cost_usd, '0.0075');
});

test('a cost that no call can have is unpriced, not stored as some other number', async () => {
  const dear = span({ attributes: { ...span().attributes, 'gen_ai.usage.input_tokens': 1e12 } });
  const dearest = { ...span().attributes, 'gen_ai.request.model': 'gpt-4', 'gen_ai.usage.output_tokens': 1e12 };
  assert.equal((await sendJson(dear)).status, 200);
  assert.equal((await shown(dear)).cost_usd, '2500000.005');
  const beyond = span({ attributes: dearest });
  assert.equal((await sendJson(beyond)).status, 200);
  assert.equal((await shown(beyond)).cost_usd, null);
});

test('duplicate spans of one request count once; the last of different ones wins', async () => {
  const one = span();
  assert.equal((await sendJson(one, one, { ...one, name: 'last' })).status, 200);
  const trace = await shown(one);
  assert.deepEqual([trace.name, trace.cost_usd, trace.spans.length], ['last', '0.0075', 1]);
});

test('the daily limit answers 429 with Retry-After and a Status', async () => {
  const small = await served.newTenant({ tracesPerDay: 1 });
  assert.equal((await served.post(small, bodyOf(span()), JSON_TYPE)).status, 200);
  const response = await served.post(small, bodyOf(span()), JSON_TYPE);
  assert.equal(response.status, 429);
  assert.equal(response.headers.get('retry-after'), String(12 * 3_600));
  assert.match(((await response.json()) as { message: string }).message, /RATE_LIMIT_EXCEEDED/);
});

test('a client that goes away leaves its request written whole or not at all', async () => {
  const tenant = await served.newTenant();
  const spans = Array.from({ length: 50 }, (_, i) => span({ spanId: (i + 1).toString(16).padStart(16, '0') }));
  const sameTrace = spans.map((each) => ({ ...each, traceId: (spans[0] as OtlpSpan).traceId }));
  const body = Buffer.from(bodyOf(...sameTrace));
  for (const cut of [body.length - 1, body.length]) {
    const socket = connect(Number(new URL(served.url).port), '127.0.0.1');
    socket.write(
      `POST /v1/traces HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${tenant}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
    );
    await new Promise<void>((resolve) => socket.write(body.subarray(0, cut), () => resolve()));
    socket.destroy();
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  await served.ingest.drain();
  const list = await served.get<{ data: Array<{ span_count: number }> }>(tenant, '/api/traces');
  assert.ok([0, 50].includes(list.body.data[0]?.span_count ?? 0));
});

test('after all of it the server still answers', async () => {
  assert.deepEqual(await sendJson(span()), { status: 200, body: {} });
});
