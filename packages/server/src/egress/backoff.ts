// When to try a place again that did not answer: soon, then ever later, and never so late that nobody notices it is back.

const FIRST_MS = 20_000;
const LAST_MS = 15 * 60_000;

export class Backoff {
  #failures = 0;
  #nextMs = 0;
  /** Of the first failure since the last success. */
  failingSinceMs: number | undefined;

  isDue(nowMs: number): boolean {
    return nowMs >= this.#nextMs;
  }

  failed(nowMs: number): void {
    this.failingSinceMs ??= nowMs;
    this.#nextMs = nowMs + Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures++;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#nextMs = 0;
    this.failingSinceMs = undefined;
  }
}
