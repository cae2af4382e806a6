// What an OTLP receiver answers: Export…ServiceResponse and google.rpc.Status, as protobuf and as JSON.
// Schemas: opentelemetry-proto collector/{trace,logs,metrics}/v1, googleapis google/rpc/{status,error_details}.proto.

/** Nothing rejected and a message: a warning about a request that was taken. */
export interface PartialSuccess {
  rejected: number;
  errorMessage: string;
}

/** What the count of the rejected is called in JSON; on the wire it is field 1 for every signal. */
export type RejectedMember = 'rejectedSpans' | 'rejectedLogRecords' | 'rejectedDataPoints';

/** google.rpc.Status: `code` is one of google.rpc.Code. */
export interface RpcStatus {
  code: number;
  message: string;
}

/** The numbers of google.rpc.Code that an ingest answer uses. */
export const RPC_CODE = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** `partial_success` is left unset when everything was taken: the empty message. */
export function encodeExportResponse(partial?: PartialSuccess): Uint8Array<ArrayBuffer> {
  if (partial === undefined) return new Uint8Array(0);
  return Uint8Array.from(message(1, [...int64(1, partial.rejected), ...text(2, partial.errorMessage)]));
}

export function exportResponseJson(member: RejectedMember, partial?: PartialSuccess): string {
  if (partial === undefined) return '{}';
  const { rejected, errorMessage } = partial;
  return JSON.stringify({ partialSuccess: { [member]: String(rejected), errorMessage } });
}

/** With `retryAfterSeconds` the status carries a google.rpc.RetryInfo, as OTLP/gRPC asks for when a client should wait. */
export function encodeStatus(status: RpcStatus, retryAfterSeconds?: number): Uint8Array<ArrayBuffer> {
  const details = retryAfterSeconds === undefined ? [] : retryInfo(retryAfterSeconds);
  return Uint8Array.from([...int64(1, status.code), ...text(2, status.message), ...details]);
}

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

/** Status.details = 3: Any { type_url = 1, value = 2 } of RetryInfo { retry_delay = 1: Duration { seconds = 1 } }. */
function retryInfo(seconds: number): number[] {
  const info = message(1, int64(1, seconds));
  return message(3, [...text(1, RETRY_INFO), ...message(2, info)]);
}

function message(field: number, bytes: readonly number[]): number[] {
  return [...lengthDelimited(field, bytes.length), ...bytes];
}

export function statusJson({ code, message }: RpcStatus): string {
  return JSON.stringify({ code, message });
}

const UTF8 = new TextEncoder();

function text(field: number, value: string): number[] {
  if (value === '') return [];
  const bytes = UTF8.encode(value);
  return [...lengthDelimited(field, bytes.length), ...bytes];
}

/** proto3 leaves zero out. */
function int64(field: number, value: number): number[] {
  return value === 0 ? [] : [...varint(field * 8), ...varint(value)];
}

function lengthDelimited(field: number, length: number): number[] {
  return [...varint(field * 8 + 2), ...varint(length)];
}

/** A non-negative safe integer in groups of seven bits, the low one first. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}
