// Fourier transforms of pictures: real ones into half a spectrum, and small complex squares. The work is done in
// ../../assembly/fft.ts.
import { addressOf, floats, native, ROW_GAP } from './native.ts';

/** Bins of a real picture, padded to `size`×`size`: rows 0…size/2, bin (kx, ky) at ky·size + kx, kx wrapping round. */
export interface HalfSpectrum {
  size: number;
  re: Float32Array;
  im: Float32Array;
}

/** `size`×`size` complex values in row order. */
export interface ComplexSquare {
  size: number;
  re: Float32Array;
  im: Float32Array;
}

const PLANE = addressOf('PLANE') >> 2;
const HALF_RE = addressOf('HALF_RE') >> 2;
const HALF_IM = addressOf('HALF_IM') >> 2;

const MIN_SIZE = 16;
const MAX_SIZE = 1_024;
const MAX_COMPLEX_SIZE = 512;

const prepared = new Set<number>();

/** Writes the tables of one size. @throws RangeError for another size */
function prepare(size: number, largest: number): void {
  if (size < MIN_SIZE || size > largest || (size & (size - 1)) !== 0)
    throw new RangeError(`No transform of size ${size}`);
  if (prepared.has(size)) return;
  const bits = Math.log2(size);
  const reversed = new Uint16Array(native.memory.buffer, addressOf('REVERSED') + 2 * size, size);
  const twiddles = new Float32Array(native.memory.buffer, addressOf('TWIDDLES') + 8 * size, 2 * size);
  for (let i = 0; i < size; i++) {
    let r = 0;
    for (let b = 0; b < bits; b++) r |= ((i >> b) & 1) << (bits - 1 - b);
    reversed[i] = r;
    twiddles[2 * i] = Math.cos((2 * Math.PI * i) / size);
    twiddles[2 * i + 1] = -Math.sin((2 * Math.PI * i) / size);
  }
  prepared.add(size);
}

/** Copies rows of `width` values in, padded with zeros to a multiple of eight, at `stride` values. */
function write(rows: Float32Array, width: number, height: number, at: number, stride: number): void {
  const padding = -width & 7;
  for (let y = 0; y < height; y++) {
    const start = at + y * stride;
    floats.set(rows.subarray(y * width, (y + 1) * width), start);
    if (padding > 0) floats.fill(0, start + width, start + width + padding);
  }
}

function read(rows: Float32Array, width: number, height: number, at: number, stride: number): void {
  for (let y = 0; y < height; y++) {
    const start = at + y * stride;
    rows.set(floats.subarray(start, start + width), y * width);
  }
}

const padded = (width: number): number => width + (-width & 7);

export function halfSpectrum(size: number): HalfSpectrum {
  const length = (size / 2 + 1) * size;
  return { size, re: new Float32Array(length), im: new Float32Array(length) };
}

export function complexSquare(size: number): ComplexSquare {
  return { size, re: new Float32Array(size * size), im: new Float32Array(size * size) };
}

/** Transform (e^−iωx) of a `width`×`height` picture at the upper left of a square of zeros, into `out`. */
export function realFft2(source: Float32Array, width: number, height: number, out: HalfSpectrum): HalfSpectrum {
  const { size } = out;
  prepare(size, MAX_SIZE);
  write(source, width, height, PLANE, size + ROW_GAP);
  forwardHeld(size, width, height);
  return readHeld(out);
}

/** As `realFft2` of a picture that already lies in the module's memory; the bins stay there. */
export function forwardHeld(size: number, width = size, height = size): void {
  prepare(size, MAX_SIZE);
  native.forwardReal(size, padded(width), height);
}

/** The bins that lie in the module's memory. */
export function readHeld(out: HalfSpectrum): HalfSpectrum {
  const { size, re, im } = out;
  read(re, size, size / 2 + 1, HALF_RE, size + ROW_GAP);
  read(im, size, size / 2 + 1, HALF_IM, size + ROW_GAP);
  return out;
}

/** Reverses `forwardHeld`, in the module's memory. */
export function inverseHeld(size: number, width: number, height: number): void {
  native.inverseReal(size, padded(width), height);
}

/** The spectrum whose bins are read at lines. */
let heldBins: HalfSpectrum | null = null;
const [BINS_RE, BINS_IM] = [addressOf('BINS_RE') >> 2, addressOf('BINS_IM') >> 2];
/** Of a row's first bins, which follow its last: eight are read at once. */
const REPEATED = 8;

export function holdBins(spectrum: HalfSpectrum): void {
  if (heldBins === spectrum) return;
  const { size, re, im } = spectrum;
  for (let ky = 0; ky <= size / 2; ky++) {
    const [from, to] = [ky * size, ky * (size + ROW_GAP)];
    floats.set(re.subarray(from, from + size), BINS_RE + to);
    floats.set(re.subarray(from, from + REPEATED), BINS_RE + to + size);
    floats.set(im.subarray(from, from + size), BINS_IM + to);
    floats.set(im.subarray(from, from + REPEATED), BINS_IM + to + size);
  }
  heldBins = spectrum;
}

/** What the module wrote there, as arrays of their own. */
export function takeBins(out: HalfSpectrum): HalfSpectrum {
  const { size, re, im } = out;
  read(re, size, size / 2 + 1, BINS_RE, size + ROW_GAP);
  read(im, size, size / 2 + 1, BINS_IM, size + ROW_GAP);
  heldBins = out;
  return out;
}

/** Reverses `realFft2` for the first `width`×`height` values. */
export function inverseRealFft2(
  { size, re, im }: HalfSpectrum,
  width: number,
  height: number,
  out: Float32Array,
): Float32Array {
  prepare(size, MAX_SIZE);
  const stride = size + ROW_GAP;
  write(re, size, size / 2 + 1, HALF_RE, stride);
  write(im, size, size / 2 + 1, HALF_IM, stride);
  native.inverseReal(size, padded(width), height);
  read(out, width, height, PLANE, stride);
  return out;
}

/** In place; the inverse divides by size². */
export function fft2({ size, re, im }: ComplexSquare, isInverse = false): void {
  prepare(size, MAX_COMPLEX_SIZE);
  const stride = size + ROW_GAP;
  // conj(F(conj(x))) is the inverse
  if (isInverse) for (let i = 0; i < im.length; i++) im[i] = -(im[i] as number);
  write(re, size, size, PLANE, stride);
  write(im, size, size, HALF_RE, stride);
  native.forwardComplex(size);
  read(re, size, size, PLANE, stride);
  read(im, size, size, HALF_RE, stride);
  if (!isInverse) return;
  const scale = 1 / (size * size);
  for (let i = 0; i < im.length; i++) {
    re[i] = (re[i] as number) * scale;
    im[i] = -(im[i] as number) * scale;
  }
}
