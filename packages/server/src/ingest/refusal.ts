// A deliberate no of this room: nothing of the request was stored, and the sender is told when to try again.

export type RefusalCode = 'RATE_LIMIT_EXCEEDED' | 'UNAVAILABLE' | 'FORBIDDEN';

export class IngestRefusal extends Error {
  override readonly name = 'IngestRefusal';
  readonly code: RefusalCode;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: RefusalCode, message: string, retryAfterSeconds?: number) {
    super(message);
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
