// What was read from the database a moment ago: bounded in number and in age, one read at a time per key.

export interface RememberedOptions<Value> {
  /** Answers are at most this old: the bound on how late a revocation is noticed. */
  maxAgeMs: number;
  maxEntries: number;
  nowMs: () => number;
  /** False for answers that must be asked for again every time. */
  keep?: (value: Value) => boolean;
}

/** Failures are never remembered, so that a lost database refuses as soon as the last answer has aged. */
export class Remembered<Value> {
  readonly #entries = new Map<string, { value: Promise<Value>; untilMs: number }>();
  readonly #options: RememberedOptions<Value>;

  constructor(options: RememberedOptions<Value>) {
    this.#options = options;
  }

  recall(key: string, read: () => Promise<Value>): Promise<Value> {
    const { maxAgeMs, maxEntries, nowMs, keep } = this.#options;
    const known = this.#entries.get(key);
    if (known !== undefined && nowMs() < known.untilMs) return known.value;
    // The oldest entry goes first: a Map keeps the order of insertion.
    this.#entries.delete(key);
    if (this.#entries.size >= maxEntries) {
      const oldest = this.#entries.keys().next().value;
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    // The age counts from before the read, so that a slow read cannot stretch it.
    const value = read();
    const entry = { value, untilMs: nowMs() + maxAgeMs };
    this.#entries.set(key, entry);
    const forget = (): void => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    };
    value.then((answer) => {
      if (keep !== undefined && !keep(answer)) forget();
    }, forget);
    return value;
  }

  forget(key: string): void {
    this.#entries.delete(key);
  }
}
