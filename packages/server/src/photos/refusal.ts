// A deliberate no of this room: the public code, a sentence, and what the rim should say beside it.

export type RefusalCode =
  | 'VALIDATION_FAILED'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'PAYLOAD_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'UNAVAILABLE'
  | 'INTERNAL_ENGINE_ERROR';

/** Thrown by the stories of this room. `status` overrides the table of codes (422 for an idempotency key). */
export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly status: number | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: RefusalCode,
    message: string,
    options: { status?: number; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'Refusal';
    this.code = code;
    this.status = options.status;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** The same words for an id that never was, that is malformed, and that belongs to somebody else. */
export function noSuchPhoto(): Refusal {
  return new Refusal('NOT_FOUND', 'There is no photo with this id.');
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The id in canonical (lower case) form. @throws Refusal NOT_FOUND when it cannot be one. */
export function photoIdOf(text: string): string {
  if (!UUID.test(text)) throw noSuchPhoto();
  return text.toLowerCase();
}
