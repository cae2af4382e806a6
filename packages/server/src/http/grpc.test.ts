// What the gRPC port refuses, and how: codes, RetryInfo, limits, a port that is taken, and a stop that loses nothing.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { decode, encodeRequest } from '../../../telemetry/test/wire.ts';
import { attributesOf, NOW_MS } from '../ingest/fixtures/room.ts';
import { serve } from '../ingest/fixtures/serve.ts';
import { serveGrpc, type ServedGrpc } from './fixtures/grpc.ts';
import { MAX_OTLP_BYTES } from './otlp-body.ts';

const served = await serve({ recordsPerDay: 1 });
const grpc = await serveGrpc(served);
after(async () => {
  await grpc.stop();
  await served.close();
});

const TRACES = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
const LOGS = '/opentelemetry.proto.collector.logs.v1.LogsService/Export';

type Reply = { response: Buffer } | { error: ServiceError };

async function call(
  port: number,
  path: string,
  body: Uint8Array,
  headers: Record<string, string>,
  options: { deadlineMs?: number } = {},
): Promise<Reply> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
    // a connection of its own
    'grpc.use_local_subchannel_pool': 1,
  });
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  try {
    return await new Promise<Reply>((resolve) => {
      const deadline = Date.now() + (options.deadlineMs ?? 30_000);
      client.makeUnaryRequest(
        path,
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes: Buffer) => bytes,
        body,
        metadata,
        { deadline },
        (error, response) => resolve(error === null ? { response: response ?? Buffer.alloc(0) } : { error }),
      );
    });
  } finally {
    client.close();
  }
}

const bearer = (tenantId: string): Record<string, string> => ({ authorization: `Bearer ${tenantId}` });

function errorOf(reply: Reply): ServiceError {
  assert.ok('error' in reply, 'Expected a refusal');
  return reply.error;
}

/** Seconds of the google.rpc.RetryInfo, undefined without one. */
function retryAfter(error: ServiceError): number | undefined {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  if (bytes === undefined) return undefined;
  const { code, details } = decode('RpcStatus', bytes as Buffer) as {
    code: number;
    details: Array<{ typeUrl: string; value: Uint8Array }>;
  };
  assert.equal(code, error.code);
  assert.equal(details[0]?.typeUrl, 'type.googleapis.com/google.rpc.RetryInfo');
  const { retryDelay } = decode('RetryInfo', details[0]!.value) as { retryDelay: { seconds: string } };
  return Number(retryDelay.seconds);
}

function spansRequest(...traceIds: string[]): Uint8Array {
  const spans = traceIds.map((traceId) => ({
    traceId,
    spanId: 'b7ad6b7169203331',
    name: 'span',
    startTimeUnixNano: String(BigInt(NOW_MS) * 1_000_000n),
    endTimeUnixNano: String(BigInt(NOW_MS) * 1_000_000n + 5n),
  }));
  return encodeRequest({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
}

const traceId = (n: number): string => n.toString(16).padStart(32, '0');

test('a key in any of its places is taken, in metadata of any case', async () => {
  const tenantId = await served.newTenant();
  for (const headers of [bearer(tenantId), { Authorization: `Bearer ${tenantId}` }, { 'X-API-Key': tenantId }]) {
    const reply = await call(grpc.port, TRACES, spansRequest(traceId(1)), headers as Record<string, string>);
    assert.deepEqual(reply, { response: Buffer.alloc(0) });
  }
  assert.equal((await served.get(tenantId, `/api/traces/${traceId(1)}`)).status, 200);
});

test('no credentials and unknown ones are UNAUTHENTICATED, a missing scope PERMISSION_DENIED', async () => {
  const tenantId = await served.newTenant();
  const cases: Array<[Record<string, string>, number]> = [
    [{}, status.UNAUTHENTICATED],
    [{ authorization: 'Bearer nonsense' }, status.UNAUTHENTICATED],
    [{ cookie: `lumatrace_session=${tenantId}` }, status.UNAUTHENTICATED],
    [{ authorization: `Bearer ${tenantId} traces:read` }, status.PERMISSION_DENIED],
  ];
  for (const [headers, code] of cases) {
    const error = errorOf(await call(grpc.port, TRACES, spansRequest(traceId(1)), headers));
    assert.equal(error.code, code);
    assert.equal(retryAfter(error), undefined);
  }
});

test('bytes that are no request are INVALID_ARGUMENT; a part of a request that is wrong is a partial success', async () => {
  const tenantId = await served.newTenant();
  const error = errorOf(await call(grpc.port, TRACES, Uint8Array.of(10, 255), bearer(tenantId)));
  assert.equal(error.code, status.INVALID_ARGUMENT);
  const reply = await call(grpc.port, TRACES, spansRequest(traceId(1), '00'.repeat(16)), bearer(tenantId));
  assert.ok('response' in reply);
  const { partialSuccess } = decode('ExportTraceServiceResponse', reply.response) as {
    partialSuccess: { rejectedSpans: string };
  };
  assert.equal(partialSuccess.rejectedSpans, '1');
});

function recordRequest(text: string): Uint8Array {
  return encodeRequest(
    { resourceLogs: [{ scopeLogs: [{ logRecords: [{ attributes: attributesOf({ text }) }] }] }] },
    'ExportLogsServiceRequest',
  );
}

test('a used-up day is RESOURCE_EXHAUSTED with the time to wait, and only then', async () => {
  const tenantId = await served.newTenant({ tracesPerDay: 1 });
  assert.ok('response' in (await call(grpc.port, TRACES, spansRequest(traceId(1)), bearer(tenantId))));
  const error = errorOf(await call(grpc.port, TRACES, spansRequest(traceId(2)), bearer(tenantId)));
  assert.equal(error.code, status.RESOURCE_EXHAUSTED);
  assert.equal(retryAfter(error), 43_200);
  assert.ok('response' in (await call(grpc.port, LOGS, recordRequest('one'), bearer(tenantId))));
  const ofLogs = errorOf(await call(grpc.port, LOGS, recordRequest('two'), bearer(tenantId)));
  assert.deepEqual([ofLogs.code, retryAfter(ofLogs)], [status.RESOURCE_EXHAUSTED, 43_200]);
});

test('a method that is not there is UNIMPLEMENTED', async () => {
  const tenantId = await served.newTenant();
  const path = '/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export';
  assert.equal(errorOf(await call(grpc.port, path, new Uint8Array(), bearer(tenantId))).code, status.UNIMPLEMENTED);
});

test('more than 64 MiB is RESOURCE_EXHAUSTED, and so is what swells beyond it', async () => {
  const tenantId = await served.newTenant();
  const large = errorOf(await call(grpc.port, TRACES, new Uint8Array(MAX_OTLP_BYTES + 1), bearer(tenantId)));
  assert.equal(large.code, status.RESOURCE_EXHAUSTED);
  assert.equal(retryAfter(large), undefined);

  const bomb = gzipSync(new Uint8Array(MAX_OTLP_BYTES + 1));
  assert.ok(bomb.length < 100_000);
  assert.equal(await rawCall(grpc.port, bomb, tenantId), String(status.RESOURCE_EXHAUSTED));
});

/** One call by hand over HTTP/2 with a compressed message; answers `grpc-status`. With no message nothing is sent. */
async function rawCall(port: number, message: Uint8Array | undefined, tenantId: string): Promise<string> {
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${port}`);
  try {
    return await new Promise<string>((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': TRACES,
        'content-type': 'application/grpc',
        te: 'trailers',
        'grpc-encoding': 'gzip',
        authorization: `Bearer ${tenantId}`,
      });
      const take = (headers: Record<string, unknown>): void => {
        if (headers['grpc-status'] !== undefined) resolve(String(headers['grpc-status']));
      };
      stream.on('response', take);
      stream.on('trailers', take);
      stream.on('error', reject);
      stream.resume();
      if (message === undefined) return;
      const head = Buffer.alloc(5);
      head.writeUInt8(1, 0);
      head.writeUInt32BE(message.length, 1);
      stream.end(Buffer.concat([head, message]));
    });
  } finally {
    session.destroy();
  }
}

test('a call whose message does not come is ended', async () => {
  const impatient = await serveGrpc(served, { messageTimeoutMs: 50 });
  try {
    assert.equal(await rawCall(impatient.port, undefined, await served.newTenant()), String(status.DEADLINE_EXCEEDED));
  } finally {
    await impatient.stop(0);
  }
});

test('a failure of ours is INTERNAL and says nothing of its cause', async () => {
  const broken = await serveGrpc(served, {
    ingest: { accept: () => Promise.reject(new Error('password of the database')) },
  });
  try {
    const tenantId = await served.newTenant();
    const error = errorOf(await call(broken.port, TRACES, spansRequest(traceId(1)), bearer(tenantId)));
    assert.equal(error.code, status.INTERNAL);
    assert.doesNotMatch(error.message, /password/);
  } finally {
    await broken.stop();
  }
});

test('a port that is taken is told by its code', async () => {
  const other: Promise<ServedGrpc> = serveGrpc(served, {}, grpc.port);
  await assert.rejects(other, { code: 'EADDRINUSE' });
});

test('a stop waits for the calls that run', async () => {
  const held = Promise.withResolvers<void>();
  const running = Promise.withResolvers<void>();
  const slow = await serveGrpc(served, {
    ingest: {
      async accept(tenantId, decoded, bytes) {
        running.resolve();
        await held.promise;
        return served.ingest.accept(tenantId, decoded, bytes);
      },
    },
  });
  const tenantId = await served.newTenant();
  const reply = call(slow.port, TRACES, spansRequest(traceId(9)), bearer(tenantId));
  await running.promise;
  const stopped = slow.stop();
  held.resolve();
  assert.deepEqual(await reply, { response: Buffer.alloc(0) });
  await stopped;
  assert.equal((await served.get(tenantId, `/api/traces/${traceId(9)}`)).status, 200);
});

test('idle connections make room for callers, and calls that run keep their place', async () => {
  const held = Promise.withResolvers<void>();
  const full = Promise.withResolvers<void>();
  let running = 0;
  const small = await serveGrpc(served, {
    maxConnections: 4,
    ingest: {
      async accept(tenantId, decoded, bytes) {
        if (++running === 4) full.resolve();
        await held.promise;
        return served.ingest.accept(tenantId, decoded, bytes);
      },
    },
  });
  const tenantId = await served.newTenant();
  const idle = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const socket = connectTcp(small.port, '127.0.0.1')
        .on('error', () => {})
        .resume();
      await once(socket, 'connect');
      return socket;
    }),
  );
  try {
    const calls = [1, 2, 3, 4].map((n) =>
      call(small.port, TRACES, spansRequest(traceId(100 + n)), bearer(tenantId), { deadlineMs: 10_000 }),
    );
    await full.promise;
    // their places are taken; each learns it a moment later
    await Promise.all(idle.map((socket) => socket.closed || once(socket, 'close')));
    const late = await call(small.port, TRACES, spansRequest(traceId(200)), bearer(tenantId), { deadlineMs: 500 });
    assert.ok([status.UNAVAILABLE, status.DEADLINE_EXCEEDED].includes(errorOf(late).code), 'every place has a call');
    held.resolve();
    for (const reply of await Promise.all(calls)) assert.deepEqual(reply, { response: Buffer.alloc(0) });
    assert.deepEqual(await call(small.port, TRACES, spansRequest(traceId(201)), bearer(tenantId)), {
      response: Buffer.alloc(0),
    });
  } finally {
    for (const socket of idle) socket.destroy();
    await small.stop(0);
  }
});

test('calls are counted by service and code', () => {
  const text = grpc.registry.text();
  assert.match(
    text,
    /lumatrace_grpc_requests_total\{service="opentelemetry\.proto\.collector\.trace\.v1\.TraceService",code="0"\} \d+/,
  );
});
