// A deliberate no of this room: the public code and a sentence.

export class PricesRefusal extends Error {
  override readonly name = 'PricesRefusal';
  readonly code: 'VALIDATION_FAILED' | 'NOT_FOUND' | 'CONFLICT';

  constructor(code: PricesRefusal['code'], message: string) {
    super(message);
    this.code = code;
  }
}
