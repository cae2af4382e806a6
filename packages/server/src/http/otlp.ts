// OTLP/HTTP to the letter: type, encoding and size of a request, and answers in the encoding of the request.
// Source: opentelemetry-proto docs/specification.md, "OTLP/HTTP".
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip, gunzipSync, inflate, zstdDecompress, type InputType } from 'node:zlib';
import {
  decodeTracesJson,
  decodeTracesProtobuf,
  encodeExportResponse,
  encodeStatus,
  exportResponseJson,
  RPC_CODE,
  statusJson,
} from '@lumatrace/telemetry';
import type { Ingest, IngestOutcome } from '../ingest/ingest.ts';
import { Problem } from './errors.ts';
import { route, type Route } from './route.ts';

/** Before and after decompression, as OTLP recommends. */
export const MAX_OTLP_BYTES = 64 * 1024 * 1024;
/** All requests together that are being received, inflated or decoded. */
const MAX_BYTES_IN_FLIGHT = 256 * 1024 * 1024;
/** A sender that pauses longer is told so and cut. */
const BODY_TIMEOUT_MS = 20_000;
/** Smaller bodies inflate faster here than on the way to a thread and back; what swells beyond it goes there after all. */
const INFLATE_HERE = { maxBytes: 8 * 1024, maxOutputLength: 512 * 1024 };

const PROTOBUF = 'application/x-protobuf';
const JSON_TYPE = 'application/json';

export interface OtlpOptions {
  ingest: Pick<Ingest, 'accept'>;
  bodyTimeoutMs?: number;
}

type Encoding = 'protobuf' | 'json';

export function otlpRoutes(options: OtlpOptions): Route[] {
  const budget = { bytes: 0 };
  return [
    route({
      method: 'POST',
      path: '/v1/traces',
      summary: 'Take spans (OTLP/HTTP)',
      tag: 'telemetry in',
      policy: { kind: 'scope', scope: 'traces:write' },
      limit: 'none',
      rawBody: {
        contentTypes: [PROTOBUF, JSON_TYPE],
        description:
          'ExportTraceServiceRequest as protobuf or JSON, optionally with Content-Encoding gzip, deflate or zstd; ' +
          'at most 64 MiB before and after decompression. Answered after commit, in the encoding of the request. ' +
          'The same span again has no effect; other content under its id replaces it.',
      },
      maxBodyBytes: MAX_OTLP_BYTES,
      answers: {
        200: { description: 'ExportTraceServiceResponse; partial_success is set only when spans were rejected.' },
        400: { description: 'google.rpc.Status: the request cannot be read. Do not send it again.' },
        401: { description: 'google.rpc.Status: no or unknown credentials.' },
        403: { description: 'google.rpc.Status: the credentials lack traces:write.' },
        413: { description: 'google.rpc.Status: more than 64 MiB before or after decompression.' },
        415: { description: 'google.rpc.Status: another content type or encoding.' },
        429: { description: 'google.rpc.Status: the daily traces are used up, or too much waits. See Retry-After.' },
        503: { description: 'google.rpc.Status: come back after Retry-After.' },
      },
      onProblem: (problem, request) => statusAnswer(problem, encodingOf(request.headers.get('content-type')) ?? 'json'),
      async handle({ request, incoming, principal }) {
        const encoding = encodingOf(request.headers.get('content-type'));
        if (encoding === undefined) {
          throw new Problem('UNSUPPORTED_MEDIA_TYPE', `Expected ${PROTOBUF} or ${JSON_TYPE}.`);
        }
        const inflater = inflaterOf(request.headers.get('content-encoding'));
        const held = holding(budget);
        try {
          const sent = await receive(incoming, held, options.bodyTimeoutMs ?? BODY_TIMEOUT_MS);
          const body = inflater === undefined ? sent : await inflated(inflater, sent);
          held.take(body === sent ? 0 : body.length);
          const decoded = encoding === 'protobuf' ? decodeTracesProtobuf(body) : decodeTracesJson(body);
          return exportAnswer(await options.ingest.accept(principal.tenantId, decoded, body.length), encoding);
        } finally {
          held.release();
        }
      },
    }),
  ];
}

function encodingOf(contentType: string | null): Encoding | undefined {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type === PROTOBUF) return 'protobuf';
  return type === JSON_TYPE ? 'json' : undefined;
}

function exportAnswer({ rejectedSpans, messages }: IngestOutcome, encoding: Encoding): Response {
  const partial = rejectedSpans === 0 ? undefined : { rejected: rejectedSpans, errorMessage: messages.join('; ') };
  return answer(200, encoding, encoding === 'json' ? exportResponseJson('rejectedSpans', partial) : encodeExportResponse(partial));
}

/** HTTP status → google.rpc.Code; what is not here is the caller's argument. */
const RPC_CODES: Readonly<Record<number, number>> = {
  401: RPC_CODE.unauthenticated,
  403: RPC_CODE.permissionDenied,
  408: RPC_CODE.deadlineExceeded,
  413: RPC_CODE.resourceExhausted,
  429: RPC_CODE.resourceExhausted,
  500: RPC_CODE.internal,
  503: RPC_CODE.unavailable,
};

function statusAnswer(problem: Problem, encoding: Encoding): Response {
  const status = {
    code: RPC_CODES[problem.status] ?? RPC_CODE.invalidArgument,
    message: `${problem.code}: ${problem.message}`,
  };
  const body = encoding === 'json' ? statusJson(status) : encodeStatus(status);
  return answer(problem.status, encoding, body, problem.headers);
}

function answer(
  status: number,
  encoding: Encoding,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Response {
  const contentType = encoding === 'json' ? JSON_TYPE : PROTOBUF;
  return new Response(body, { status, headers: { 'content-type': contentType, ...headers } });
}

interface Held {
  /** Throws a Problem when all requests together hold too much. */
  take(bytes: number): void;
  release(): void;
}

function holding(budget: { bytes: number }): Held {
  let held = 0;
  return {
    take(bytes) {
      if (budget.bytes > 0 && budget.bytes + bytes > MAX_BYTES_IN_FLIGHT) {
        throw new Problem('UNAVAILABLE', 'Too much is being received at once.', { headers: { 'Retry-After': '1' } });
      }
      budget.bytes += bytes;
      held += bytes;
    },
    release() {
      budget.bytes -= held;
      held = 0;
    },
  };
}

/** The body as it was sent. Rejects with a Problem when it is too large or does not come. */
function receive(incoming: IncomingMessage, held: Held, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => fail(lateBody()), timeoutMs);
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      incoming.off('data', onData);
      incoming.resume();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      timer.refresh();
      size += chunk.length;
      if (size > MAX_OTLP_BYTES) return fail(tooLarge());
      try {
        held.take(chunk.length);
      } catch (error) {
        return fail(error);
      }
      chunks.push(chunk);
    };
    incoming.on('data', onData);
    incoming.once('end', () => {
      clearTimeout(timer);
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size));
    });
    incoming.once('error', () => fail(new Problem('VALIDATION_FAILED', 'The body ended early.')));
  });
}

function lateBody(): Problem {
  return new Problem('VALIDATION_FAILED', 'The body did not come in time.', { status: 408 });
}

function tooLarge(): Problem {
  return new Problem('PAYLOAD_TOO_LARGE', `Expected at most ${MAX_OTLP_BYTES} bytes, before and after decompression.`);
}

type Inflater = (body: Buffer) => Promise<Buffer> | Buffer;
type Inflate = (body: InputType, options: { maxOutputLength: number }) => Promise<Buffer>;

const LIMITED = { maxOutputLength: MAX_OTLP_BYTES };
const inThread =
  (inflater: Inflate): Inflater =>
  (body) =>
    inflater(body, LIMITED);
const gunzipInThread = inThread(promisify(gunzip) as Inflate);

/** One encoding at a time; a stack of them is refused. */
const INFLATERS: ReadonlyMap<string, Inflater> = new Map<string, Inflater>([
  ['gzip', gunzipWhereFaster],
  ['x-gzip', gunzipInThread],
  ['deflate', inThread(promisify(inflate) as Inflate)],
  ['zstd', inThread(promisify(zstdDecompress) as Inflate)],
]);

function gunzipWhereFaster(body: Buffer): Promise<Buffer> | Buffer {
  if (body.length > INFLATE_HERE.maxBytes) return gunzipInThread(body);
  try {
    return gunzipSync(body, { maxOutputLength: INFLATE_HERE.maxOutputLength });
  } catch (error) {
    if (isTooLarge(error)) return gunzipInThread(body);
    throw error;
  }
}

function isTooLarge(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
}

function inflaterOf(contentEncoding: string | null): Inflater | undefined {
  const name = (contentEncoding ?? '').trim().toLowerCase();
  if (name === '' || name === 'identity') return undefined;
  const inflater = INFLATERS.get(name);
  if (inflater === undefined) {
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', 'Expected one content encoding: gzip, deflate, zstd or none.');
  }
  return inflater;
}

async function inflated(inflater: Inflater, body: Buffer): Promise<Buffer> {
  try {
    return await inflater(body);
  } catch (error) {
    if (isTooLarge(error)) throw tooLarge();
    throw new Problem('VALIDATION_FAILED', 'The body is not in the content encoding that it names.', { cause: error });
  }
}
