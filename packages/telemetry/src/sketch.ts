// A mergeable quantile sketch with 1 % relative error, kept sparse: only filled buckets are stored.
// Source: Masson, Rim, Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", VLDB 2019.

export const RELATIVE_ERROR = 0.01;
const GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);
const LOG_GAMMA = Math.log(GAMMA);
/** Smaller values count as zero: a nanosecond when the unit is milliseconds. */
const MIN_VALUE = 1e-6;
/** Covers 1e-6 to 1e13 at 1 %; beyond it the lowest buckets are merged, as the paper does. */
const MAX_BUCKETS = 2_200;

/** How a sketch is stored: ascending bucket indices and their counts. */
export interface SketchJson {
  zeros: number;
  indices: number[];
  counts: number[];
}

export class Sketch {
  #zeros = 0;
  #count = 0;
  readonly #buckets = new Map<number, number>();

  /** A sketch as {@link toJSON} wrote it. Throws TypeError for anything else. */
  static from({ zeros, indices, counts }: SketchJson): Sketch {
    const sketch = new Sketch();
    if (indices.length !== counts.length) {
      throw new TypeError(`Expected ${indices.length} counts for a sketch but received ${counts.length}`);
    }
    sketch.#addZeros(checkedCount(zeros));
    for (let i = 0; i < indices.length; i++) sketch.#fill(checkedIndex(indices[i]), checkedCount(counts[i]));
    sketch.#collapse();
    return sketch;
  }

  get count(): number {
    return this.#count;
  }

  /** Adds a finite value ≥ 0; a negative one counts as zero. */
  add(value: number, times = 1): void {
    if (!Number.isFinite(value)) throw new TypeError(`Expected a finite value for a sketch but received ${value}`);
    if (value < MIN_VALUE) this.#addZeros(times);
    else this.#fill(bucketOf(value), times);
    if (this.#buckets.size > MAX_BUCKETS) this.#collapse();
  }

  /** Adds what another sketch saw; merging in any order gives the same sketch. */
  merge(other: Sketch): void {
    this.#addZeros(other.#zeros);
    for (const [index, count] of other.#buckets) this.#fill(index, count);
    this.#collapse();
  }

  /**
   * The value of rank ⌊q × (count − 1)⌋ of those added, at most 1 % off; undefined for an empty sketch.
   * `q` is from 0 to 1.
   */
  quantile(q: number): number | undefined {
    if (!(q >= 0 && q <= 1)) throw new TypeError(`Expected a quantile from 0 to 1 but received ${q}`);
    return this.#count === 0 ? undefined : this.valueAt(Math.floor(q * (this.#count - 1)));
  }

  /** The value at `position`, from 0, among those added in ascending order, at most 1 % off. Of an empty sketch: 0. */
  valueAt(position: number): number {
    let rank = position - this.#zeros;
    const sorted = this.#sorted();
    if (rank < 0 || sorted.length === 0) return 0;
    // the bucket that holds the value of this rank
    for (const [index, count] of sorted) {
      if (rank < count) return valueOf(index);
      rank -= count;
    }
    return valueOf(sorted.at(-1)![0]);
  }

  toJSON(): SketchJson {
    const sorted = this.#sorted();
    return { zeros: this.#zeros, indices: sorted.map(([index]) => index), counts: sorted.map(([, count]) => count) };
  }

  #addZeros(count: number): void {
    this.#zeros += count;
    this.#count += count;
  }

  #fill(index: number, count: number): void {
    if (count === 0) return;
    this.#buckets.set(index, (this.#buckets.get(index) ?? 0) + count);
    this.#count += count;
  }

  #sorted(): [index: number, count: number][] {
    return [...this.#buckets].sort(([a], [b]) => a - b);
  }

  #collapse(): void {
    const excess = this.#buckets.size - MAX_BUCKETS;
    if (excess <= 0) return;
    const sorted = this.#sorted();
    const into = sorted[excess]![0];
    for (const [index, count] of sorted.slice(0, excess)) {
      this.#buckets.delete(index);
      this.#buckets.set(into, this.#buckets.get(into)! + count);
    }
  }
}

/** The bucket of a value: γ^(i−1) < value ≤ γ^i. For rollups that keep bucket counts themselves. */
export function bucketOf(value: number): number {
  return Math.ceil(Math.log(value) / LOG_GAMMA);
}

/** The value that a bucket stands for: at most 1 % from each value in it. */
export function valueOf(bucket: number): number {
  return (2 * GAMMA ** bucket) / (GAMMA + 1);
}

function checkedCount(count: number | undefined): number {
  if (count !== undefined && Number.isSafeInteger(count) && count >= 0) return count;
  throw new TypeError(`Expected a count for a sketch but received ${count}`);
}

function checkedIndex(index: number | undefined): number {
  if (index !== undefined && Number.isSafeInteger(index)) return index;
  throw new TypeError(`Expected a bucket index for a sketch but received ${index}`);
}
