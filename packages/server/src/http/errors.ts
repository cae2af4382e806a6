// Errors at the rim: the contract's codes, their HTTP status, and the one shape they are answered in (RFC 9457).

/** code → [status, title, default action]; the table of PRODUCT.md. */
export const PROBLEMS = {
  VALIDATION_FAILED: [400, 'The request is not valid.', 'Correct the request and send it again.'],
  AUTH_MISSING: [401, 'Credentials are missing.', 'Send an API key or token, or log in.'],
  AUTH_INVALID: [401, 'The credentials are not valid.', 'Check the key or token, or log in again.'],
  AUTH_EXPIRED: [401, 'The credentials have expired.', 'Get a new token or key.'],
  TENANT_RESTRICTED: [403, 'The tenant may not do this.', 'Ask the owner of the tenant.'],
  FORBIDDEN: [403, 'These credentials may not do this.', 'Use credentials with the scope that the route needs.'],
  NOT_FOUND: [404, 'There is no such thing here.', 'Check the id.'],
  CONFLICT: [409, 'The request conflicts with an earlier one.', 'Look at the current state before trying again.'],
  PAYLOAD_TOO_LARGE: [413, 'The payload is too large.', 'Send less.'],
  UNSUPPORTED_MEDIA_TYPE: [415, 'The media type is not supported.', 'Send a supported type.'],
  RATE_LIMIT_EXCEEDED: [429, 'Too many requests.', 'Wait as long as Retry-After says.'],
  UNAVAILABLE: [503, 'A part of the service does not answer.', 'Try again after a moment.'],
  INTERNAL_ENGINE_ERROR: [500, 'Something went wrong on our side.', 'Try again; report the traceId if it stays.'],
} as const satisfies Record<string, readonly [number, string, string]>;
export type ProblemCode = keyof typeof PROBLEMS;

/**
 * A deliberate refusal. Rooms throw it (or any error whose `code` is a ProblemCode); the rim turns it into
 * `application/problem+json`. `message` is shown to the caller: never put a secret or another tenant's data in it.
 */
export class Problem extends Error {
  readonly code: ProblemCode;
  /** Overrides the table: 422 for CONFLICT on an idempotency key, 408 for a body that does not come. */
  readonly status: number;
  readonly action: string;
  readonly headers: Record<string, string>;

  constructor(
    code: ProblemCode,
    message?: string,
    options: { status?: number; action?: string; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(message ?? PROBLEMS[code][1], { cause: options.cause });
    this.name = 'Problem';
    this.code = code;
    this.status = options.status ?? PROBLEMS[code][0];
    this.action = options.action ?? PROBLEMS[code][2];
    this.headers = options.headers ?? {};
  }
}

/** What a room's own error class may say beside its code. */
interface Deliberate extends Error {
  code: string;
  status?: number | undefined;
  action?: string | undefined;
  retryAfterSeconds?: number | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
}

/** Any thrown value as a Problem; what is not deliberate becomes INTERNAL_ENGINE_ERROR and tells nothing. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (!isDeliberate(error)) return new Problem('INTERNAL_ENGINE_ERROR', undefined, { cause: error });
  const retryAfter =
    error.retryAfterSeconds ?? (error.code === 'UNAVAILABLE' ? DEFAULT_RETRY_AFTER_SECONDS : undefined);
  return new Problem(error.code, error.message, {
    ...(isRefusalStatus(error.status) ? { status: error.status } : {}),
    ...(typeof error.action === 'string' ? { action: error.action } : {}),
    headers: { ...error.headers, ...(retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) }) },
    cause: error,
  });
}

const DEFAULT_RETRY_AFTER_SECONDS = 2;

function isDeliberate(error: unknown): error is Deliberate & { code: ProblemCode } {
  const code = (error as { code?: unknown } | null)?.code;
  return (
    error instanceof Error &&
    typeof code === 'string' &&
    Object.hasOwn(PROBLEMS, code) &&
    code !== 'INTERNAL_ENGINE_ERROR'
  );
}

function isRefusalStatus(status: unknown): status is number {
  return typeof status === 'number' && status >= 400 && status <= 599;
}

/** The RFC 9457 answer; `traceId` is the request id, so that a report can be found in the log. */
export function problemResponse(problem: Problem, requestId: string): Response {
  const body = {
    type: `urn:lumatrace:problem:${problem.code}`,
    title: PROBLEMS[problem.code][1],
    status: problem.status,
    detail: problem.message,
    code: problem.code,
    message: problem.message,
    action: problem.action,
    traceId: requestId,
  };
  return new Response(JSON.stringify(body), {
    status: problem.status,
    headers: { 'content-type': 'application/problem+json', 'x-request-id': requestId, ...problem.headers },
  });
}
