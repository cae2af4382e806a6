// Where a change is not seen: the just-noticeable amplitude of the mark, in grey levels, for every canonical pixel.
// Texture hides change, and so do very dark and very bright areas; an edge beside a flat area hides nothing, hence the
// erosion. The shape follows the prototype's measurements (floor 0.6 in flat areas was invisible at 1×).
import type { Luma } from '../codec/codec.ts';
import { release } from '../release.ts';
import { boxBlur } from './analyse.ts';

// activity is smooth: it is computed on cells of 4×4 pixels, a sixteenth of the work
const CELL = 4;

const FLOOR = 0.62;
const ACTIVITY_GAIN = 0.22;
const CEILING = 2;

/** RMS amplitude in grey levels (0…255) that the mark may have at gain 1. */
export function visibilityMask(luma: Luma): Float32Array {
  const { width, height } = luma;
  const cells = { width: Math.ceil(width / CELL), height: Math.ceil(height / CELL) };
  const { activity, brightness } = cellStatistics(luma, cells);
  const spread = boxBlur(activity, cells.width, cells.height, 1);
  const eroded = boxBlur(erode(spread, cells), cells.width, cells.height, 1);
  const amplitude = new Float32Array(eroded.length);
  for (let i = 0; i < amplitude.length; i++) {
    const guarded = 0.5 * Math.min(spread[i] as number, 3 * (eroded[i] as number)) + 0.5 * (eroded[i] as number);
    const floor = FLOOR * adaptation(brightness[i] as number);
    amplitude[i] = Math.min(CEILING, Math.sqrt(floor ** 2 + (ACTIVITY_GAIN * guarded) ** 2));
  }
  return enlarge(amplitude, cells, luma);
}

/** Visibility threshold over brightness, 1 in the middle (Chou and Li 1995, simplified to two ramps). */
function adaptation(brightness: number): number {
  const bright = Math.min(1, Math.max(0, (brightness - 140) / 115));
  const dark = Math.min(1, Math.max(0, (70 - brightness) / 70));
  return 1 + 0.35 * bright + 0.5 * dark;
}

/** Mean |Y − local mean| and mean Y of every cell. */
function cellStatistics(luma: Luma, cells: { width: number; height: number }) {
  const { width, height, data } = luma;
  const local = boxBlur(data, width, height, 3);
  const activity = new Float32Array(cells.width * cells.height);
  const brightness = new Float32Array(cells.width * cells.height);
  for (let y = 0; y < height; y++) {
    const cellRow = ((y / CELL) | 0) * cells.width;
    for (let x = 0, at = y * width; x < width; x++, at++) {
      const cell = cellRow + ((x / CELL) | 0);
      const value = data[at] as number;
      activity[cell] = (activity[cell] as number) + Math.abs(value - (local[at] as number));
      brightness[cell] = (brightness[cell] as number) + value;
    }
  }
  release(local);
  for (let cy = 0, i = 0; cy < cells.height; cy++) {
    const rows = Math.min(CELL, height - cy * CELL);
    for (let cx = 0; cx < cells.width; cx++, i++) {
      const share = 1 / (rows * Math.min(CELL, width - cx * CELL));
      activity[i] = (activity[i] as number) * share;
      brightness[i] = (brightness[i] as number) * share;
    }
  }
  return { activity, brightness };
}

/** The least of the 3×3 cells around. */
function erode(values: Float32Array, { width, height }: { width: number; height: number }): Float32Array {
  const least = new Float32Array(values.length);
  for (let y = 0, i = 0; y < height; y++) {
    const [top, bottom] = [Math.max(0, y - 1), Math.min(height - 1, y + 1)];
    for (let x = 0; x < width; x++, i++) {
      const [left, right] = [Math.max(0, x - 1), Math.min(width - 1, x + 1)];
      let minimum = Infinity;
      for (let v = top; v <= bottom; v++) {
        for (let u = left; u <= right; u++) minimum = Math.min(minimum, values[v * width + u] as number);
      }
      least[i] = minimum;
    }
  }
  return least;
}

/** Cells to pixels, bilinear between cell centres. */
function enlarge(
  values: Float32Array,
  cells: { width: number; height: number },
  size: { width: number; height: number },
) {
  const { width, height } = size;
  const pixels = new Float32Array(width * height);
  const line = new Float32Array(cells.width);
  for (let y = 0; y < height; y++) {
    const v = Math.min(cells.height - 1, Math.max(0, (y + 0.5) / CELL - 0.5));
    const above = Math.min(cells.height - 1, v | 0);
    const below = Math.min(cells.height - 1, above + 1);
    const share = v - above;
    for (let cx = 0; cx < cells.width; cx++) {
      const top = values[above * cells.width + cx] as number;
      line[cx] = top + share * ((values[below * cells.width + cx] as number) - top);
    }
    for (let x = 0, at = y * width; x < width; x++, at++) {
      const u = Math.min(cells.width - 1, Math.max(0, (x + 0.5) / CELL - 0.5));
      const left = u | 0;
      const start = line[left] as number;
      pixels[at] = start + (u - left) * ((line[Math.min(cells.width - 1, left + 1)] as number) - start);
    }
  }
  return pixels;
}
