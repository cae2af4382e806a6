// OTLP/HTTP to the letter: type, encoding and size of a request, and answers in the encoding of the request. The three
// signals are one table; each is also served under the path that Langfuse's clients send to.
// Source: opentelemetry-proto docs/specification.md, "OTLP/HTTP".
import {
  encodeExportResponse,
  encodeStatus,
  exportResponseJson,
  RPC_CODE,
  statusJson,
  type PartialSuccess,
} from '@lumatrace/telemetry';
import { Problem } from './errors.ts';
import { BODY_TIMEOUT_MS, BytesInFlight, inflated, inflaterOf, MAX_OTLP_BYTES, receive } from './otlp-body.ts';
import { otlpSignals, type OtlpEncoding, type OtlpRooms, type OtlpSignal } from './otlp-signals.ts';
import { route, type Answer, type Route } from './route.ts';

const PROTOBUF = 'application/x-protobuf';
const JSON_TYPE = 'application/json';
/** Where exporters send by themselves, and where Langfuse's do. */
const BASES = ['', '/api/public/otel'] as const;

export interface OtlpOptions extends OtlpRooms {
  /** Shared with the other ways in. */
  bytesInFlight?: BytesInFlight;
  bodyTimeoutMs?: number;
}

export function otlpRoutes(options: OtlpOptions): Route[] {
  const bytesInFlight = options.bytesInFlight ?? new BytesInFlight();
  const bodyTimeoutMs = options.bodyTimeoutMs ?? BODY_TIMEOUT_MS;
  const signals = otlpSignals(options);
  return BASES.flatMap((base) => signals.map((signal) => signalRoute(base, signal, { bytesInFlight, bodyTimeoutMs })));
}

function signalRoute(
  base: string,
  signal: OtlpSignal,
  { bytesInFlight, bodyTimeoutMs }: { bytesInFlight: BytesInFlight; bodyTimeoutMs: number },
): Route {
  return route({
    method: 'POST',
    path: `${base}/v1/${signal.name}`,
    summary: base === '' ? signal.summary : `${signal.summary}, where Langfuse's clients send it`,
    tag: 'telemetry in',
    policy: { kind: 'scope', scope: 'traces:write' },
    limit: 'none',
    rawBody: {
      contentTypes: [PROTOBUF, JSON_TYPE],
      description:
        `${signal.message}Request as protobuf or JSON, optionally with Content-Encoding gzip, deflate or zstd; ` +
        `at most 64 MiB before and after decompression. Answered after commit, in the encoding of the request. ${signal.again}`,
    },
    maxBodyBytes: MAX_OTLP_BYTES,
    answers: answersOf(signal),
    onProblem: (problem, request) => statusAnswer(problem, encodingOf(request.headers.get('content-type')) ?? 'json'),
    async handle({ request, incoming, principal }) {
      const encoding = encodingOf(request.headers.get('content-type'));
      if (encoding === undefined) {
        throw new Problem('UNSUPPORTED_MEDIA_TYPE', `Expected ${PROTOBUF} or ${JSON_TYPE}.`);
      }
      const inflater = inflaterOf(request.headers.get('content-encoding'));
      const held = bytesInFlight.hold();
      try {
        const sent = await receive(incoming, held, bodyTimeoutMs);
        const body = inflater === undefined ? sent : await inflated(inflater, sent);
        held.take(body === sent ? 0 : body.length);
        return exportAnswer(signal, await signal.take(principal.tenantId, body, encoding), encoding);
      } finally {
        held.release();
      }
    },
  });
}

function answersOf({ message, rejected }: OtlpSignal): Record<number, Answer> {
  return {
    200: {
      description:
        `${message}Response; partial_success is set only when something was not taken (${rejected}), or, with a count ` +
        'of zero, for a warning.',
    },
    400: { description: 'google.rpc.Status: the request cannot be read. Do not send it again.' },
    401: { description: 'google.rpc.Status: no or unknown credentials.' },
    403: { description: 'google.rpc.Status: the credentials lack traces:write.' },
    413: { description: 'google.rpc.Status: more than 64 MiB before or after decompression.' },
    415: { description: 'google.rpc.Status: another content type or encoding.' },
    429: { description: 'google.rpc.Status: the quota of the day is used up, or too much waits. See Retry-After.' },
    503: { description: 'google.rpc.Status: come back after Retry-After.' },
  };
}

function encodingOf(contentType: string | null): OtlpEncoding | undefined {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type === PROTOBUF) return 'protobuf';
  return type === JSON_TYPE ? 'json' : undefined;
}

function exportAnswer(signal: OtlpSignal, partial: PartialSuccess | undefined, encoding: OtlpEncoding): Response {
  const body = encoding === 'json' ? exportResponseJson(signal.rejected, partial) : encodeExportResponse(partial);
  return answer(200, encoding, body);
}

/** HTTP status → google.rpc.Code; what is not here is the caller's argument. */
export const RPC_CODES: Readonly<Record<number, number>> = {
  401: RPC_CODE.unauthenticated,
  403: RPC_CODE.permissionDenied,
  408: RPC_CODE.deadlineExceeded,
  413: RPC_CODE.resourceExhausted,
  429: RPC_CODE.resourceExhausted,
  500: RPC_CODE.internal,
  503: RPC_CODE.unavailable,
};

function statusAnswer(problem: Problem, encoding: OtlpEncoding): Response {
  const status = {
    code: RPC_CODES[problem.status] ?? RPC_CODE.invalidArgument,
    message: `${problem.code}: ${problem.message}`,
  };
  const body = encoding === 'json' ? statusJson(status) : encodeStatus(status);
  return answer(problem.status, encoding, body, problem.headers);
}

function answer(
  status: number,
  encoding: OtlpEncoding,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Response {
  const contentType = encoding === 'json' ? JSON_TYPE : PROTOBUF;
  return new Response(body, { status, headers: { 'content-type': contentType, ...headers } });
}
