// What is wrong with a checkpoint, a proof or a receipt that came from outside.

export type LogErrorCode =
  /** Not written as the format says. */
  | 'MALFORMED'
  /** No signature of the expected key, or a wrong one. */
  | 'UNTRUSTED'
  /** A place that the tree does not have. */
  | 'OUT_OF_RANGE';

/** Bad input to the log's reading functions. */
export class LogError extends Error {
  readonly code: LogErrorCode;
  constructor(code: LogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LogError';
    this.code = code;
  }
}
