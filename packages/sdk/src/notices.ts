// What the SDK has to say to its user: each kind once, and never by a throw.

/** Counts by name; `dropped_*` counts spans and scores that were not sent. */
export interface SdkCounts {
  spans_sent: number;
  spans_dropped: number;
  scores_sent: number;
  scores_dropped: number;
  requests_retried: number;
  internal_errors: number;
}

export class Notices {
  readonly counts: SdkCounts = {
    spans_sent: 0,
    spans_dropped: 0,
    scores_sent: 0,
    scores_dropped: 0,
    requests_retried: 0,
    internal_errors: 0,
  };
  readonly #told = new Set<string>();
  readonly #tell: (message: string) => void;

  constructor(tell: (message: string) => void) {
    this.#tell = tell;
  }

  /** Says `message` unless something of this kind was said before. */
  once(kind: string, message: string): void {
    if (this.#told.has(kind)) return;
    this.#told.add(kind);
    try {
      this.#tell(message);
    } catch {
      // the listener is the user's: its failure is not a reason to stop
    }
  }

  /** Runs what the user's program must not feel: a throw is counted and told once. */
  guard<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.counts.internal_errors++;
      this.once('internal', `an error of the SDK itself was held back: ${nameOf(error)}`);
      return undefined;
    }
  }
}

/** Class and message of an error, without what it may carry along. */
export function nameOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message.slice(0, 200)}` : typeof error;
}
