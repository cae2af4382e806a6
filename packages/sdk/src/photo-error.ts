// Why a call about a photo did not give an answer: the server's problem (RFC 9457) or the way there, always with a code.

/** Codes of the server's problems, and those of the way to it. */
export type PhotoErrorCode =
  | 'VALIDATION_FAILED'
  | 'AUTH_MISSING'
  | 'AUTH_INVALID'
  | 'AUTH_EXPIRED'
  | 'TENANT_RESTRICTED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'PAYLOAD_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'RATE_LIMIT_EXCEEDED'
  | 'UNAVAILABLE'
  | 'INTERNAL_ENGINE_ERROR'
  /** There was no whole answer: the server is away, or too slow. */
  | 'NO_ANSWER'
  /** An answer that is none of LumaTrace's. */
  | 'BAD_ANSWER'
  /** The caller's signal. */
  | 'ABORTED';

export interface PhotoErrorFacts {
  /** HTTP status; absent when there was no answer. */
  status?: number;
  /** What to do, in the server's words. */
  action?: string;
  /** `x-request-id` of the answer: what the server's operator searches its log for. */
  requestId?: string;
  /** How long the server asked to wait. */
  retryAfterMs?: number;
  cause?: unknown;
}

/** Thrown by `photos.*` and by `traceImage`. The API key is never in it. */
export class PhotoError extends Error {
  readonly code: PhotoErrorCode;
  readonly status: number | undefined;
  readonly action: string | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: PhotoErrorCode, message: string, facts: PhotoErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'PhotoError';
    this.code = code;
    this.status = facts.status;
    this.action = facts.action;
    this.requestId = facts.requestId;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

const BY_STATUS = new Map<number, PhotoErrorCode>([
  [400, 'VALIDATION_FAILED'],
  [401, 'AUTH_INVALID'],
  [403, 'FORBIDDEN'],
  [404, 'NOT_FOUND'],
  [409, 'CONFLICT'],
  [413, 'PAYLOAD_TOO_LARGE'],
  [415, 'UNSUPPORTED_MEDIA_TYPE'],
  [422, 'CONFLICT'],
  [429, 'RATE_LIMIT_EXCEEDED'],
  [503, 'UNAVAILABLE'],
]);
const CODE = /^[A-Z][A-Z_]{2,40}$/;
const MAX_TEXT = 1_000;

/** The problem that an answer tells; for one of a proxy in between, what its status says. */
export function problemOf(status: number, body: Uint8Array, facts: PhotoErrorFacts): PhotoError {
  const told = problemFields(body);
  const code = (CODE.test(told.code) ? told.code : (BY_STATUS.get(status) ?? 'BAD_ANSWER')) as PhotoErrorCode;
  const message = told.message === '' ? `The server answered ${status}.` : told.message;
  return new PhotoError(code, message, { ...facts, status, ...(told.action === '' ? {} : { action: told.action }) });
}

function problemFields(body: Uint8Array): { code: string; message: string; action: string } {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    value = null;
  }
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const text = (name: string): string => {
    const found = fields[name];
    return typeof found === 'string' ? found.slice(0, MAX_TEXT) : '';
  };
  return { code: text('code'), message: text('message'), action: text('action') };
}
