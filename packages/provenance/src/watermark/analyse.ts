// From a picture to what every key is held against: locally normalised, whitened, as a spectrum and as pixels.
// Nothing here depends on any key: that is what makes the false-alarm bound hold for every picture.
import type { Luma } from '../codec/codec.ts';
import { forwardHeld, halfSpectrum, takeBins, inverseHeld, type HalfSpectrum } from './fft.ts';
import { addressOf, floats, holdPixels, native, takePixels } from './native.ts';

export interface Whitened {
  width: number;
  height: number;
  /** Whitened complex bins, |bin|² of mean 1 without a mark, phases relative to the middle of the picture. */
  spectrum: HalfSpectrum;
  /** |bin|² over its neighbourhood's mean, in the order of the spectrum. */
  power: Float32Array;
}

export interface Analysis extends Whitened {
  /** Whitened pixels in row order, variance 1. */
  pixels: Float32Array;
}

// docs/decisions/watermark-engine.md: what was tried for each
const RESIDUAL_RADIUS = 8;
const VARIANCE_RADIUS = 11;
const SAMPLE_LIMIT = 2.5;
const NOISE_FLOOR = 1;
const FLAT = 1.5;
const TAPER = 12;
const BIN_LIMIT = 5;
/** Half the side of the square whose mean power a bin is held against, at 1024 bins. */
const NEIGHBOURHOOD = 10;
const PEAK_LIMIT = 4;

/** `luma` with sides of at most 1024; about 10 ms at 1024×683. */
export function analyse({ data, width, height }: Luma): Analysis {
  const size = Math.max(width, height) <= 512 ? 512 : 1_024;
  holdPixels(data);
  native.normalise(width, height, size, RESIDUAL_RADIUS, VARIANCE_RADIUS, NOISE_FLOOR, SAMPLE_LIMIT, FLAT, TAPER);
  forwardHeld(size, width, height);
  native.whiten(size, Math.max(3, Math.round((NEIGHBOURHOOD * size) / 1_024)), PEAK_LIMIT, BIN_LIMIT);
  const bins = whitenedHeld(size, width, height);
  inverseHeld(size, width, height);
  native.toUnit(width, height, size);
  return { ...bins, pixels: takePixels(width * height) };
}

/** A square of whitened pixels as a picture of its own. `size` is a power of two; what lies outside the picture is 0. */
export function analyseBlock({ pixels, width, height }: Analysis, left: number, top: number, size: number): Whitened {
  holdPixels(pixels);
  const energy = native.cutBlock(width, height, left, top, size);
  forwardHeld(size);
  native.powers(size, 1 / Math.sqrt(energy + 1e-9));
  return whitenedHeld(size, size, size);
}

const POWERS = addressOf('POWERS') >> 2;

function whitenedHeld(size: number, width: number, height: number): Whitened {
  native.centre(size, (width - 1) / 2, (height - 1) / 2);
  const power = floats.slice(POWERS, POWERS + (size / 2 + 1) * size);
  return { width, height, spectrum: takeBins(halfSpectrum(size)), power };
}

/** Mean of (2·radius + 1)² values, the border repeated. */
export function boxBlur(source: Float32Array, width: number, height: number, radius: number): Float32Array {
  const across = new Float32Array(source.length);
  const share = 1 / (2 * radius + 1);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    let sum = 0;
    for (let i = -radius; i <= radius; i++) sum += source[row + Math.min(width - 1, Math.max(0, i))] as number;
    for (let x = 0; x < width; x++) {
      across[row + x] = sum * share;
      sum +=
        (source[row + Math.min(width - 1, x + radius + 1)] as number) -
        (source[row + Math.max(0, x - radius)] as number);
    }
  }
  const mean = new Float32Array(source.length);
  const sums = new Float64Array(width);
  for (let i = -radius; i <= radius; i++) {
    const row = Math.min(height - 1, Math.max(0, i)) * width;
    for (let x = 0; x < width; x++) sums[x] = (sums[x] as number) + (across[row + x] as number);
  }
  for (let y = 0; y < height; y++) {
    const row = y * width;
    const enters = Math.min(height - 1, y + radius + 1) * width;
    const leaves = Math.max(0, y - radius) * width;
    for (let x = 0; x < width; x++) {
      mean[row + x] = (sums[x] as number) * share;
      sums[x] = (sums[x] as number) + (across[enters + x] as number) - (across[leaves + x] as number);
    }
  }
  return mean;
}
