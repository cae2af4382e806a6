// From a picture to what every key is held against: locally normalised, whitened, as a spectrum and as pixels.
// Nothing here depends on any key: that is what makes the false-alarm bound hold for every picture.
import type { Luma } from '../codec/codec.ts';
import { halfSpectrum, inverseRealFft2, realFft2, type HalfSpectrum } from './fft.ts';

export interface Analysis {
  width: number;
  height: number;
  /** Whitened pixels in row order, variance 1. */
  pixels: Float32Array;
  /** Whitened complex bins, |bin|² of mean 1 without a mark, phases relative to the middle of the picture. */
  spectrum: HalfSpectrum;
  /** |bin|² over its neighbourhood's mean, in the order of the spectrum. */
  power: Float32Array;
}

/** Turns every bin so that its phase counts from the middle of the picture: between bins it then changes slowly. */
function centre({ size, re, im }: HalfSpectrum, width: number, height: number): void {
  const table = (middle: number): [Float64Array, Float64Array] => {
    const angle = (k: number): number => (2 * Math.PI * ((k * middle) % size)) / size;
    return [
      Float64Array.from({ length: size }, (_, k) => Math.cos(angle(k < size / 2 ? k : k - size))),
      Float64Array.from({ length: size }, (_, k) => Math.sin(angle(k < size / 2 ? k : k - size))),
    ];
  };
  const [cosX, sinX] = table((width - 1) / 2);
  const [cosY, sinY] = table((height - 1) / 2);
  for (let k = 0, at = 0; k <= size / 2; k++) {
    const [cx, sx] = [cosX[k] as number, sinX[k] as number];
    for (let j = 0; j < size; j++, at++) {
      const [cy, sy] = [cosY[j] as number, sinY[j] as number];
      const [cos, sin] = [cx * cy - sx * sy, sx * cy + cx * sy];
      const [r, q] = [re[at] as number, im[at] as number];
      re[at] = r * cos - q * sin;
      im[at] = r * sin + q * cos;
    }
  }
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

/** `luma` with sides of at most 1024; about 70 ms at 1024×683. */
export function analyse(luma: Luma): Analysis {
  const { width, height } = luma;
  const pixels = normalise(luma);
  const size = Math.max(width, height) <= 512 ? 512 : 1_024;
  const spectrum = realFft2(taper(pixels, width, height), width, height, halfSpectrum(size));
  const power = whiten(spectrum);
  const scratch = { size, re: Float32Array.from(spectrum.re), im: Float32Array.from(spectrum.im) };
  inverseRealFft2(scratch, width, height, pixels);
  let sum = 0;
  for (const value of pixels) sum += value * value;
  const scale = sum === 0 ? 0 : Math.sqrt(pixels.length / sum);
  for (let i = 0; i < pixels.length; i++) pixels[i] = (pixels[i] as number) * scale;
  centre(spectrum, width, height);
  return { width, height, pixels, spectrum, power };
}

/** A square of whitened pixels as a picture of its own. `size` is a power of two; what lies outside the picture is 0. */
export function analyseBlock(picture: Analysis, left: number, top: number, size: number): Analysis {
  const pixels = new Float32Array(size * size);
  const window = Float32Array.from({ length: size }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / size));
  let sum = 1e-9;
  for (let y = 0; y < size && top + y < picture.height; y++) {
    const row = window[y] as number;
    for (let x = 0; x < size && left + x < picture.width; x++) {
      const weight = row * (window[x] as number);
      pixels[y * size + x] = weight * (picture.pixels[(top + y) * picture.width + left + x] as number);
      sum += weight * weight;
    }
  }
  const spectrum = realFft2(pixels, size, size, halfSpectrum(size));
  const scale = 1 / Math.sqrt(sum);
  const { re, im } = spectrum;
  const power = new Float32Array(re.length);
  for (let i = 0; i < re.length; i++) {
    re[i] = (re[i] as number) * scale;
    im[i] = (im[i] as number) * scale;
    power[i] = (re[i] as number) ** 2 + (im[i] as number) ** 2;
  }
  centre(spectrum, size, size);
  return { width: size, height: size, pixels, spectrum, power };
}

/** Local mean off, local deviation to one, outliers cut, dead flat areas lowered: edges must not outweigh a whole sky. */
export function normalise({ data, width, height }: Luma): Float32Array {
  const residual = boxBlur(data, width, height, RESIDUAL_RADIUS);
  const squared = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const value = (data[i] as number) - (residual[i] as number);
    residual[i] = value;
    squared[i] = value * value;
  }
  const variance = boxBlur(squared, width, height, VARIANCE_RADIUS);
  for (let i = 0; i < data.length; i++) {
    const deviation = Math.sqrt(Math.max(0, variance[i] as number));
    const value = (residual[i] as number) / (deviation + NOISE_FLOOR);
    const limited = value > SAMPLE_LIMIT ? SAMPLE_LIMIT : value < -SAMPLE_LIMIT ? -SAMPLE_LIMIT : value;
    residual[i] = limited * Math.sqrt(deviation / (deviation + FLAT));
  }
  return residual;
}

const edge = (at: number, length: number): number => Math.min(1, (Math.min(at, length - 1 - at) + 0.5) / TAPER);

/** A soft border: a hard one would be a cross of power through the spectrum. */
function taper(pixels: Float32Array, width: number, height: number): Float32Array {
  const columns = Float32Array.from({ length: width }, (_, x) => edge(x, width));
  for (let y = 0, i = 0; y < height; y++) {
    const row = edge(y, height);
    for (let x = 0; x < width; x++, i++) pixels[i] = (pixels[i] as number) * row * (columns[x] as number);
  }
  return pixels;
}

/** Divides every bin by its neighbourhood's amplitude and cuts outliers, in place. Answers the uncut power. */
function whiten(spectrum: HalfSpectrum): Float32Array {
  const { size, re, im } = spectrum;
  const radius = Math.max(3, Math.round((NEIGHBOURHOOD * size) / 1_024));
  const power = new Float32Array(re.length);
  for (let i = 0; i < power.length; i++) power[i] = (re[i] as number) ** 2 + (im[i] as number) ** 2;
  const around = spectralMean(power, size, radius);
  // once more with peaks cut: a line must not hide itself
  const cut = new Float32Array(power.length);
  for (let i = 0; i < cut.length; i++) cut[i] = Math.min(power[i] as number, PEAK_LIMIT * (around[i] as number));
  const level = spectralMean(cut, size, radius);
  for (let i = 0; i < power.length; i++) {
    const mean = (level[i] as number) + 1e-6;
    const relative = (power[i] as number) / mean;
    power[i] = relative;
    const amplitude = Math.sqrt(relative);
    const factor = (amplitude > BIN_LIMIT ? BIN_LIMIT / amplitude : 1) / Math.sqrt(mean);
    re[i] = (re[i] as number) * factor;
    im[i] = (im[i] as number) * factor;
  }
  return power;
}

/** Mean over (2·radius + 1)² bins of a half spectrum, wrapping round as frequencies do. */
function spectralMean(power: Float32Array, size: number, radius: number): Float32Array {
  const half = size >> 1;
  const span = 2 * radius + 1;
  const along = new Float32Array(power.length);
  for (let k = 0; k <= half; k++) {
    const column = k * size;
    let sum = 0;
    for (let j = -radius; j <= radius; j++) sum += power[column + (j & (size - 1))] as number;
    for (let j = 0; j < size; j++) {
      along[column + j] = sum;
      sum +=
        (power[column + ((j + radius + 1) & (size - 1))] as number) -
        (power[column + ((j - radius) & (size - 1))] as number);
    }
  }
  // column −k is column k upside down, and so is half + k
  const add = (sums: Float64Array, k: number, sign: number): void => {
    const column = Math.abs(k) <= half ? Math.abs(k) : size - k;
    const isMirrored = k < 0 || k > half;
    const start = column * size;
    for (let j = 0; j < size; j++) {
      const at = isMirrored ? start + (-j & (size - 1)) : start + j;
      sums[j] = (sums[j] as number) + sign * (along[at] as number);
    }
  };
  const mean = new Float32Array(power.length);
  const sums = new Float64Array(size);
  const share = 1 / (span * span);
  for (let k = -radius; k <= radius; k++) add(sums, k, 1);
  for (let k = 0; k <= half; k++) {
    for (let j = 0; j < size; j++) mean[k * size + j] = Math.max(0, sums[j] as number) * share;
    add(sums, k + radius + 1, 1);
    add(sums, k - radius, -1);
  }
  return mean;
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
