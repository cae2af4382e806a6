// What an OTLP receiver answers: ExportTraceServiceResponse and google.rpc.Status, as protobuf and as JSON.
// Schemas: opentelemetry-proto collector/trace/v1, googleapis google/rpc/status.proto.

export interface PartialSuccess {
  rejectedSpans: number;
  errorMessage: string;
}

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
  const message = [...int64(1, partial.rejectedSpans), ...text(2, partial.errorMessage)];
  return Uint8Array.from([...lengthDelimited(1, message.length), ...message]);
}

export function exportResponseJson(partial?: PartialSuccess): string {
  if (partial === undefined) return '{}';
  const { rejectedSpans, errorMessage } = partial;
  return JSON.stringify({ partialSuccess: { rejectedSpans: String(rejectedSpans), errorMessage } });
}

export function encodeStatus(status: RpcStatus): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...int64(1, status.code), ...text(2, status.message)]);
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
