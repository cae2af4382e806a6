// A deliberate no of this room: the public code, a sentence, and what the rim should say beside it.

export type RefusalCode =
  | 'VALIDATION_FAILED'
  | 'AUTH_MISSING'
  | 'AUTH_INVALID'
  | 'AUTH_EXPIRED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'RATE_LIMIT_EXCEEDED'
  | 'UNAVAILABLE';

export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly action: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** Headers that belong to the refusal, such as X-RateLimit-*. */
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(
    code: RefusalCode,
    message: string,
    options: {
      action?: string;
      retryAfterSeconds?: number;
      headers?: Readonly<Record<string, string>>;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'Refusal';
    this.code = code;
    this.action = options.action;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.headers = options.headers;
  }
}
