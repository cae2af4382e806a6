// Records export requests as they were sent: OTLP/HTTP in any encoding, and OTLP/gRPC with plain HTTP/2 frames.
// Optionally passes each one on, unchanged, to a server and its answer back: then what is recorded is what was taken.
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';

const MAX_REQUEST_BYTES = 16 * 1024 * 1024;
const GRPC_PREFIX_BYTES = 5;

export type Signal = 'traces' | 'logs' | 'metrics';

/** One export request. */
export interface Recorded {
  caseName: string;
  signal: Signal;
  /** The path of the HTTP request, or of the gRPC method. */
  path: string;
  contentType: string;
  /** As declared; `identity` when nothing was. The body is after undoing it. */
  contentEncoding: string;
  body: Buffer;
  /** What the server answered, when there is one behind: HTTP status, or gRPC status as text. */
  answered: string;
}

export interface Upstream {
  httpUrl: string;
  grpcUrl: string;
  /** The scheme that the server wants, for example `Bearer KEY`; put in unless the emitter sends its own. */
  authorization: string;
}

export interface Collector {
  httpUrl: string;
  grpcUrl: string;
  recorded: readonly Recorded[];
  close(): Promise<void>;
}

const UNPACK: Record<string, (body: Buffer) => Buffer> = {
  identity: (body) => body,
  gzip: (body) => gunzipSync(body, { maxOutputLength: MAX_REQUEST_BYTES }),
  deflate: (body) => inflateSync(body, { maxOutputLength: MAX_REQUEST_BYTES }),
  br: (body) => brotliDecompressSync(body, { maxOutputLength: MAX_REQUEST_BYTES }),
  zstd: (body) => zstdDecompressSync(body, { maxOutputLength: MAX_REQUEST_BYTES }),
};

/** Where each signal is sent to, by the end of the path (`/v1/traces`, `/api/public/otel/v1/traces`, a gRPC method). */
const SIGNALS: readonly [RegExp, Signal][] = [
  [/\/v1\/traces$|TraceService\/Export$/, 'traces'],
  [/\/v1\/logs$|LogsService\/Export$/, 'logs'],
  [/\/v1\/metrics$|MetricsService\/Export$/, 'metrics'],
];

/** Starts both listeners on free loopback ports. `POST /begin/CASE` and `/end/CASE` say whose requests come. */
export async function startCollector(upstream?: Upstream): Promise<Collector> {
  const recorded: Recorded[] = [];
  let caseName = '';
  const record = (entry: Omit<Recorded, 'caseName'>): void => void recorded.push({ caseName, ...entry });
  const http = createHttpServer((request, response) => {
    const [, verb, name] = /^\/(begin|end)\/([\w-]+)$/.exec(request.url ?? '') ?? [];
    if (verb !== undefined && name !== undefined) {
      caseName = verb === 'begin' ? name : '';
      request.resume();
      return void response.end();
    }
    takeHttp(request, response, record, upstream).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  const grpc = createHttp2Server();
  grpc.on('stream', (stream, headers) => {
    takeGrpc(stream, headers, record, upstream).catch(() => stream.close());
  });
  const httpPort = await listen(http);
  const grpcPort = await listen(grpc as unknown as Server);
  return {
    httpUrl: `http://127.0.0.1:${httpPort}`,
    grpcUrl: `http://127.0.0.1:${grpcPort}`,
    recorded,
    async close() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
      grpc.close();
    },
  };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

type Recorder = (entry: Omit<Recorded, 'caseName'>) => void;

async function takeHttp(
  request: IncomingMessage,
  response: ServerResponse,
  record: Recorder,
  upstream: Upstream | undefined,
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://collector').pathname;
  const signal = signalOf(path);
  const body = await readAll(request);
  if (signal === undefined) {
    // Emitters ask for other things too (Langfuse's media and scores, a vendor's usage statistics): none of ours.
    return void response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
  }
  const contentType = request.headers['content-type'] ?? '';
  const contentEncoding = request.headers['content-encoding'] ?? 'identity';
  const answer =
    upstream === undefined
      ? { status: 200, type: contentType, body: contentType.includes('json') ? Buffer.from('{}') : Buffer.alloc(0) }
      : await forwardHttp(path, body, request.headers, upstream);
  const unpack = UNPACK[contentEncoding];
  if (unpack === undefined) throw new TypeError(`Expected a known content encoding but received ${contentEncoding}`);
  record({ signal, path, contentType, contentEncoding, body: unpack(body), answered: String(answer.status) });
  response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body);
}

async function forwardHttp(
  path: string,
  body: Buffer,
  sent: IncomingMessage['headers'],
  upstream: Upstream,
): Promise<{ status: number; type: string; body: Buffer }> {
  const headers: Record<string, string> = {
    'content-type': sent['content-type'] ?? '',
    authorization: sent.authorization ?? upstream.authorization,
  };
  if (sent['content-encoding'] !== undefined) headers['content-encoding'] = sent['content-encoding'];
  const response = await fetch(upstream.httpUrl + path, { method: 'POST', body: new Uint8Array(body), headers });
  const type = response.headers.get('content-type') ?? '';
  return { status: response.status, type, body: Buffer.from(await response.arrayBuffer()) };
}

/** One unary call (gRPC over HTTP/2, PROTOCOL-HTTP2.md): a prefixed message in, a prefixed message and trailers out. */
async function takeGrpc(
  stream: ServerHttp2Stream,
  headers: Record<string, unknown>,
  record: Recorder,
  upstream: Upstream | undefined,
): Promise<void> {
  const path = String(headers[':path']);
  const signal = signalOf(path);
  const framed = await readAll(stream);
  if (signal === undefined || framed.length < GRPC_PREFIX_BYTES) {
    return void stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' },
      { endStream: true },
    );
  }
  const packed = framed.readUInt8(0) === 1;
  const message = framed.subarray(GRPC_PREFIX_BYTES, GRPC_PREFIX_BYTES + framed.readUInt32BE(1));
  const contentEncoding = packed ? String(headers['grpc-encoding']) : 'identity';
  const status = upstream === undefined ? '0' : await forwardGrpc(path, framed, headers, upstream);
  const body = (UNPACK[contentEncoding] as (body: Buffer) => Buffer)(message);
  record({ signal, path, contentType: 'application/grpc', contentEncoding, body, answered: status });
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
  stream.end(Buffer.alloc(GRPC_PREFIX_BYTES));
}

/** The answer's `grpc-status`, as text. */
async function forwardGrpc(
  path: string,
  framed: Buffer,
  headers: Record<string, unknown>,
  upstream: Upstream,
): Promise<string> {
  const session = connect(upstream.grpcUrl);
  try {
    return await new Promise<string>((resolve, reject) => {
      session.once('error', reject);
      const request = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        authorization: upstream.authorization,
        ...(headers['grpc-encoding'] === undefined ? {} : { 'grpc-encoding': String(headers['grpc-encoding']) }),
      });
      let status = '';
      const look = (seen: Record<string, unknown>): void => {
        if (seen['grpc-status'] !== undefined) status = String(seen['grpc-status']);
      };
      request
        .on('response', look)
        .on('trailers', look)
        .once('error', reject)
        .once('end', () => resolve(status))
        .resume();
      request.end(framed);
    });
  } finally {
    session.close();
  }
}

function signalOf(path: string): Signal | undefined {
  return SIGNALS.find(([pattern]) => pattern.test(path))?.[1];
}

async function readAll(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_REQUEST_BYTES) throw new Error('The request is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
