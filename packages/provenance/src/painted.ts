// Parts that were painted over in one colour. Compression empties flat parts of the watermark as paint does, so the mark
// cannot tell; but the recorded fingerprint says of each cell whether it was brighter than the median of its band.
import type { Luma } from './codec/codec.ts';
import { clearBits, FINGERPRINT_BYTES, FINGERPRINT_GRID } from './fingerprint.ts';

export interface PaintedRegion {
  /** Fractions of the picture's width and height. */
  left: number;
  top: number;
  width: number;
  height: number;
  /** log₁₀ of the probability that so many cells of the region differ by chance, from the rate that unedited pictures show. */
  log10p: number;
}

/** Cells of the picture's side in which flatness is looked at: four by four in a cell of the fingerprint. */
const FINE = 4 * FINGERPRINT_GRID;
/** Grey levels: what compression leaves of one colour. */
const FLAT_DEVIATION = 1.2;
/** Grey levels around the first cell: a sky's gradient leaves it soon. */
const SAME_COLOUR = 2;
/** A cell of the fingerprint counts when so many of its 16 parts have the colour. */
const COVERED = 12;
/** A cell so many grey levels from the median of its band keeps its bit in unedited pictures (docs/decisions/change-map.md). */
export const CLEAR_LEVELS = 6;
/** log₁₀ of a rate of changed bits above what unedited pictures showed. */
const LOG10_RATE = -3;
const MIN_CHANGED = 3;
const MIN_CHANGED_SHARE = 0.2;

/**
 * @param luma the whole picture as it was protected, at whatever scale: not cropped, turned or mirrored
 * @param recorded its fingerprint of then
 * @returns largest first
 */
export function paintedRegions(luma: Luma, recorded: Uint8Array): PaintedRegion[] {
  if (recorded.length !== FINGERPRINT_BYTES || luma.width < FINE || luma.height < FINE) return [];
  const { means, deviations } = fineCells(luma);
  const bits = clearBits(luma, CLEAR_LEVELS);
  const seen = new Uint8Array(FINE * FINE);
  const regions: (PaintedRegion & { cells: number })[] = [];
  for (let start = 0; start < seen.length; start++) {
    if (seen[start] === 1 || (deviations[start] as number) > FLAT_DEVIATION) continue;
    const cells = oneColour(start, means, deviations, seen);
    const log10p = chance(cells, bits, recorded);
    if (log10p !== null) regions.push({ ...boundsOf(cells), cells: cells.length, log10p });
  }
  regions.sort((one, other) => other.cells - one.cells);
  return regions.map(({ left, top, width, height, log10p }) => ({ left, top, width, height, log10p }));
}

function fineCells({ width, height, data }: Luma): { means: Float64Array; deviations: Float64Array } {
  const [counts, sums, squares] = [1, 2, 3].map(() => new Float64Array(FINE * FINE)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor((y * FINE) / height) * FINE;
    for (let x = 0; x < width; x++, i++) {
      const cell = row + Math.floor((x * FINE) / width);
      const value = data[i] as number;
      counts[cell] = (counts[cell] as number) + 1;
      sums[cell] = (sums[cell] as number) + value;
      squares[cell] = (squares[cell] as number) + value * value;
    }
  }
  const means = sums.map((sum, cell) => sum / (counts[cell] as number));
  const deviations = squares.map((sum, cell) =>
    Math.sqrt(Math.max(0, sum / (counts[cell] as number) - (means[cell] as number) ** 2)),
  );
  return { means, deviations };
}

/** Flat cells of the first one's colour that hang together by their sides. */
function oneColour(start: number, means: Float64Array, deviations: Float64Array, seen: Uint8Array): number[] {
  const cells = [start];
  seen[start] = 1;
  for (let at = 0; at < cells.length; at++) {
    const cell = cells[at] as number;
    const x = cell % FINE;
    const beside = [x > 0 ? cell - 1 : -1, x < FINE - 1 ? cell + 1 : -1, cell - FINE, cell + FINE];
    for (const next of beside) {
      if (next < 0 || next >= seen.length || seen[next] === 1) continue;
      if ((deviations[next] as number) > FLAT_DEVIATION) continue;
      if (Math.abs((means[next] as number) - (means[start] as number)) > SAME_COLOUR) continue;
      seen[next] = 1;
      cells.push(next);
    }
  }
  return cells;
}

/** Null when what changed can be chance. */
function chance(cells: readonly number[], bits: Int8Array, recorded: Uint8Array): number | null {
  const covered = new Uint8Array(bits.length);
  for (const cell of cells) {
    const at = Math.floor(Math.floor(cell / FINE) / 4) * FINGERPRINT_GRID + Math.floor((cell % FINE) / 4);
    covered[at] = (covered[at] as number) + 1;
  }
  let [clear, changed] = [0, 0];
  for (let at = 0; at < bits.length; at++) {
    if ((covered[at] as number) < COVERED || bits[at] === -1) continue;
    clear++;
    if (bits[at] !== (((recorded[at >> 3] as number) >> (at & 7)) & 1)) changed++;
  }
  if (changed < MIN_CHANGED || changed < MIN_CHANGED_SHARE * clear) return null;
  // all choices of the changed cells among the clear ones are paid for
  let log10Choices = 0;
  for (let i = 0; i < changed; i++) log10Choices += Math.log10((clear - i) / (i + 1));
  return log10Choices + changed * LOG10_RATE;
}

function boundsOf(cells: readonly number[]): Omit<PaintedRegion, 'log10p'> {
  let [left, top, right, bottom] = [FINE, FINE, 0, 0];
  for (const cell of cells) {
    const [x, y] = [cell % FINE, Math.floor(cell / FINE)];
    [left, top] = [Math.min(left, x), Math.min(top, y)];
    [right, bottom] = [Math.max(right, x + 1), Math.max(bottom, y + 1)];
  }
  return { left: left / FINE, top: top / FINE, width: (right - left) / FINE, height: (bottom - top) / FINE };
}
