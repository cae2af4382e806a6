// A deliberate no of this room: a question that cannot be asked, or a trace that is not there (or somebody else's).

export class ExploreRefusal extends Error {
  override readonly name = 'ExploreRefusal';
  readonly code: 'VALIDATION_FAILED' | 'NOT_FOUND';

  constructor(code: 'VALIDATION_FAILED' | 'NOT_FOUND', message: string) {
    super(message);
    this.code = code;
  }
}
