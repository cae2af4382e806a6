// Why a timestamp is refused, with the status codes of C2PA §15.2 and a reason of ours that is finer.
import type { Finding } from '../findings.ts';

export type TimestampCode =
  'timeStamp.malformed' | 'timeStamp.mismatch' | 'timeStamp.outsideValidity' | 'timeStamp.untrusted';

/** A timestamp that is not accepted; `reason` is stable and is meant for programs. */
export class TimestampError extends Error {
  readonly code: TimestampCode;
  readonly reason: string;
  constructor(code: TimestampCode, reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.reason = reason;
  }
}

export function malformed(reason: string, message: string, cause?: unknown): TimestampError {
  return new TimestampError('timeStamp.malformed', reason, message, cause === undefined ? undefined : { cause });
}

export function timestampFinding(error: TimestampError): Finding {
  const { code, reason, message } = error;
  return { code, severity: 'failure', subject: 'c2pa', message, evidence: { reason } };
}
