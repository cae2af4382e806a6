// The bounded place where finished spans wait: by count and by estimated bytes, drops counted and told once.
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import type { Notices } from './notices.ts';

/** Objects, ids, times and keys of one span in V8's heap by `bench sdk` (6.2 MB for 1,070 spans of 2.8 kB); texts on top. */
const SPAN_OVERHEAD_BYTES = 3_072;

interface Waiting {
  span: ReadableSpan;
  bytes: number;
}

export interface Batch {
  spans: ReadableSpan[];
  bytes: number;
}

export class SpanBuffer {
  readonly #maxSpans: number;
  readonly #maxBytes: number;
  readonly #notices: Notices;
  #waiting: Waiting[] = [];
  /** Of what waits and of what is under way. */
  #count = 0;
  #bytes = 0;
  #waitingBytes = 0;

  constructor(maxSpans: number, maxBytes: number, notices: Notices) {
    this.#maxSpans = maxSpans;
    this.#maxBytes = maxBytes;
    this.#notices = notices;
  }

  get length(): number {
    return this.#waiting.length;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Takes a span; false when there is no room. */
  add(span: ReadableSpan): boolean {
    const bytes = bytesOf(span);
    const fits = this.#count < this.#maxSpans && (this.#count === 0 || this.#bytes + bytes <= this.#maxBytes);
    if (!fits) {
      this.drop(1, 'the buffer is full');
      return false;
    }
    this.#waiting.push({ span, bytes });
    this.#count++;
    this.#bytes += bytes;
    this.#waitingBytes += bytes;
    return true;
  }

  /** The oldest spans, at most `most`. They count as under way until `release`. */
  take(most: number): Batch {
    const taken = this.#waiting.splice(0, most);
    const bytes = taken.reduce((sum, each) => sum + each.bytes, 0);
    this.#waitingBytes -= bytes;
    return { spans: taken.map(({ span }) => span), bytes };
  }

  release(batch: Batch): void {
    this.#count -= batch.spans.length;
    this.#bytes -= batch.bytes;
  }

  drop(count: number, why: string): void {
    this.#notices.counts.spans_dropped += count;
    this.#notices.once('dropped', `spans are dropped and counted from now on: ${why}.`);
  }

  /** Everything that waits is given up. */
  clear(why: string): void {
    const batch = this.take(this.#waiting.length);
    this.release(batch);
    if (batch.spans.length > 0) this.drop(batch.spans.length, why);
  }
}

/** An estimate from the lengths of its texts, which dominate. */
export function bytesOf(span: ReadableSpan): number {
  let bytes = SPAN_OVERHEAD_BYTES;
  const { attributes } = span;
  for (const key in attributes) {
    const value = attributes[key];
    if (typeof value === 'string') bytes += value.length;
    else if (Array.isArray(value)) for (const item of value) bytes += typeof item === 'string' ? item.length : 8;
  }
  for (const event of span.events) {
    for (const key in event.attributes) {
      const value = event.attributes[key];
      bytes += 64 + (typeof value === 'string' ? value.length : 8);
    }
  }
  return bytes;
}
