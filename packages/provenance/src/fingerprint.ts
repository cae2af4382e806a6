// A 256-bit fingerprint of what a picture shows: candidates for "the same picture", never proof.
// Block mean values against their medians: B. Yang, F. Gu, X. Niu, "Block Mean Value Based Image Perceptual Hashing", 2006.
import type { Luma } from './codec/codec.ts';

const GRID = 16;
export const FINGERPRINT_GRID = GRID;
export const FINGERPRINT_BYTES = (GRID * GRID) / 8;
/** Pictures that show the same differ in fewer bits; unrelated ones in about 128. */
export const SAME_PICTURE_DISTANCE = 48;

/** 32 bytes, one bit per cell of a 16 × 16 grid in row order: brighter than the median of its quarter's rows or not. */
export function fingerprintOf(luma: Luma): Uint8Array {
  const bits = new Uint8Array(FINGERPRINT_BYTES);
  for (const [i, above] of aboveMedian(luma).entries()) {
    if (above > 0) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
  }
  return bits;
}

/** Every cell's bit; -1 for cells within `levels` grey levels of their median, which noise may change. */
export function clearBits(luma: Luma, levels: number): Int8Array {
  return Int8Array.from(aboveMedian(luma), (above) => (Math.abs(above) < levels ? -1 : above > 0 ? 1 : 0));
}

/** Grey levels of every cell above the median of its band, in row order. */
function aboveMedian(luma: Luma): Float64Array {
  const means = cellMeans(luma);
  const result = new Float64Array(means.length);
  // four bands of rows, each against its own median, so that a bright sky does not decide about the ground
  const bandLength = (GRID * GRID) / 4;
  for (let start = 0; start < means.length; start += bandLength) {
    const sorted = means.slice(start, start + bandLength).sort();
    const median = ((sorted[bandLength / 2 - 1] as number) + (sorted[bandLength / 2] as number)) / 2;
    for (let i = start; i < start + bandLength; i++) result[i] = (means[i] as number) - median;
  }
  return result;
}

/** Differing bits, 0 to 256. @throws TypeError for other lengths */
export function fingerprintDistance(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== FINGERPRINT_BYTES || b.length !== FINGERPRINT_BYTES) {
    throw new TypeError(
      `Expected two fingerprints of ${FINGERPRINT_BYTES} bytes but received ${a.length} and ${b.length}`,
    );
  }
  let distance = 0;
  for (let i = 0; i < FINGERPRINT_BYTES; i++) {
    for (let bits = (a[i] as number) ^ (b[i] as number); bits !== 0; bits &= bits - 1) distance++;
  }
  return distance;
}

function cellMeans({ width, height, data }: Luma): Float64Array {
  const sums = new Float64Array(GRID * GRID);
  const counts = new Float64Array(GRID * GRID);
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor((y * GRID) / height) * GRID;
    for (let x = 0; x < width; x++, i++) {
      const cell = row + Math.floor((x * GRID) / width);
      sums[cell] = (sums[cell] as number) + (data[i] as number);
      counts[cell] = (counts[cell] as number) + 1;
    }
  }
  return sums.map((sum, cell) => sum / Math.max(1, counts[cell] as number));
}
