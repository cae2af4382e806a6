// Fourier transforms of pictures: real ones into half a spectrum, and small complex squares. Radix 4 inside, one plan a size.

/** Bins of a real picture, padded to `size`×`size`: columns 0…size/2, each column contiguous (bin (kx, ky) at kx·size + ky). */
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

interface Plan {
  size: number;
  cos: Float32Array;
  sin: Float32Array;
  reversed: Uint16Array;
  lineRe: Float32Array;
  lineIm: Float32Array;
}

const plans = new Map<number, Plan>();

/** Tables of one power of two from 4 to 4096; there are eleven at most. @throws RangeError for another size */
function planOf(size: number): Plan {
  const known = plans.get(size);
  if (known !== undefined) return known;
  if (size < 4 || size > 4_096 || (size & (size - 1)) !== 0) throw new RangeError(`No transform of size ${size}`);
  const bits = Math.log2(size);
  const reversed = new Uint16Array(size);
  for (let i = 0; i < size; i++) {
    let r = 0;
    for (let b = 0; b < bits; b++) r |= ((i >> b) & 1) << (bits - 1 - b);
    reversed[i] = r;
  }
  const plan = {
    size,
    cos: Float32Array.from({ length: size >> 1 }, (_, k) => Math.cos((2 * Math.PI * k) / size)),
    sin: Float32Array.from({ length: size >> 1 }, (_, k) => -Math.sin((2 * Math.PI * k) / size)),
    reversed,
    lineRe: new Float32Array(size),
    lineIm: new Float32Array(size),
  };
  plans.set(size, plan);
  return plan;
}

/** Forward transform (e^−iωx) of `size` values from `start`, in place. The first two stages need no multiplication. */
function transformLine(plan: Plan, re: Float32Array, im: Float32Array, start: number): void {
  const { size, cos, sin, reversed } = plan;
  for (let i = 0; i < size; i++) {
    const j = reversed[i] as number;
    if (j <= i) continue;
    const [a, b] = [start + i, start + j];
    let swap = re[a] as number;
    re[a] = re[b] as number;
    re[b] = swap;
    swap = im[a] as number;
    im[a] = im[b] as number;
    im[b] = swap;
  }
  const end = start + size;
  for (let i = start; i < end; i += 4) {
    const r0 = (re[i] as number) + (re[i + 1] as number);
    const i0 = (im[i] as number) + (im[i + 1] as number);
    const r1 = (re[i] as number) - (re[i + 1] as number);
    const i1 = (im[i] as number) - (im[i + 1] as number);
    const r2 = (re[i + 2] as number) + (re[i + 3] as number);
    const i2 = (im[i + 2] as number) + (im[i + 3] as number);
    const r3 = (re[i + 2] as number) - (re[i + 3] as number);
    const i3 = (im[i + 2] as number) - (im[i + 3] as number);
    re[i] = r0 + r2;
    im[i] = i0 + i2;
    re[i + 2] = r0 - r2;
    im[i + 2] = i0 - i2;
    re[i + 1] = r1 + i3;
    im[i + 1] = i1 - r3;
    re[i + 3] = r1 - i3;
    im[i + 3] = i1 + r3;
  }
  for (let span = 8; span <= size; span <<= 1) {
    const half = span >> 1;
    const step = size / span;
    for (let block = start; block < end; block += span) {
      for (let k = 0, t = 0; k < half; k++, t += step) {
        const c = cos[t] as number;
        const s = sin[t] as number;
        const p = block + k;
        const q = p + half;
        const qr = re[q] as number;
        const qi = im[q] as number;
        const xr = qr * c - qi * s;
        const xi = qr * s + qi * c;
        const pr = re[p] as number;
        const pi = im[p] as number;
        re[q] = pr - xr;
        im[q] = pi - xi;
        re[p] = pr + xr;
        im[p] = pi + xi;
      }
    }
  }
}

export function halfSpectrum(size: number): HalfSpectrum {
  const length = (size / 2 + 1) * size;
  return { size, re: new Float32Array(length), im: new Float32Array(length) };
}

export function complexSquare(size: number): ComplexSquare {
  return { size, re: new Float32Array(size * size), im: new Float32Array(size * size) };
}

/** Transform of a `width`×`height` picture at the upper left of a square of zeros, into `out`. */
export function realFft2(source: Float32Array, width: number, height: number, out: HalfSpectrum): HalfSpectrum {
  const { size, re, im } = out;
  const plan = planOf(size);
  const { lineRe, lineIm } = plan;
  re.fill(0);
  im.fill(0);
  const half = size >> 1;
  // two real rows travel as one complex row
  for (let y = 0; y < height; y += 2) {
    lineRe.fill(0);
    lineIm.fill(0);
    lineRe.set(source.subarray(y * width, (y + 1) * width));
    const hasSecond = y + 1 < height;
    if (hasSecond) lineIm.set(source.subarray((y + 1) * width, (y + 2) * width));
    transformLine(plan, lineRe, lineIm, 0);
    for (let k = 0; k <= half; k++) {
      const m = (size - k) & (size - 1);
      const [ar, ai] = [lineRe[k] as number, lineIm[k] as number];
      const [br, bi] = [lineRe[m] as number, lineIm[m] as number];
      const at = k * size + y;
      re[at] = 0.5 * (ar + br);
      im[at] = 0.5 * (ai - bi);
      if (!hasSecond) continue;
      re[at + 1] = 0.5 * (ai + bi);
      im[at + 1] = -0.5 * (ar - br);
    }
  }
  for (let k = 0; k <= half; k++) transformLine(plan, re, im, k * size);
  return out;
}

/** Reverses `realFft2` for the first `width`×`height` values; destroys the spectrum. */
export function inverseRealFft2(
  spectrum: HalfSpectrum,
  width: number,
  height: number,
  out: Float32Array,
): Float32Array {
  const { size, re, im } = spectrum;
  const plan = planOf(size);
  const { lineRe, lineIm } = plan;
  const half = size >> 1;
  const scale = 1 / (size * size);
  // conj(F(conj(x))) is the inverse
  for (let i = 0; i < im.length; i++) im[i] = -(im[i] as number);
  for (let k = 0; k <= half; k++) transformLine(plan, re, im, k * size);
  for (let y = 0; y < height; y += 2) {
    // rows a and b, conjugated: a + i·b travels as one row
    for (let k = 0; k <= half; k++) {
      const at = k * size + y;
      const [ar, ai] = [re[at] as number, im[at] as number];
      const [br, bi] = [re[at + 1] as number, im[at + 1] as number];
      lineRe[k] = ar - bi;
      lineIm[k] = ai + br;
      if (k === 0 || k === half) continue;
      lineRe[size - k] = ar + bi;
      lineIm[size - k] = br - ai;
    }
    transformLine(plan, lineRe, lineIm, 0);
    for (let x = 0; x < width; x++) out[y * width + x] = (lineRe[x] as number) * scale;
    if (y + 1 >= height) continue;
    for (let x = 0; x < width; x++) out[(y + 1) * width + x] = (lineIm[x] as number) * scale;
  }
  return out;
}

/** In place; the inverse divides by size². */
export function fft2(square: ComplexSquare, isInverse = false): void {
  const { size, re, im } = square;
  const plan = planOf(size);
  if (isInverse) for (let i = 0; i < im.length; i++) im[i] = -(im[i] as number);
  for (let y = 0; y < size; y++) if (!isZero(re, im, y * size, size)) transformLine(plan, re, im, y * size);
  transpose(re, size);
  transpose(im, size);
  for (let y = 0; y < size; y++) transformLine(plan, re, im, y * size);
  transpose(re, size);
  transpose(im, size);
  if (!isInverse) return;
  const scale = 1 / (size * size);
  for (let i = 0; i < im.length; i++) {
    re[i] = (re[i] as number) * scale;
    im[i] = -(im[i] as number) * scale;
  }
}

/** A few lines of the search fill a few rows: the others need no transform. */
function isZero(re: Float32Array, im: Float32Array, start: number, length: number): boolean {
  for (let i = start; i < start + length; i++) if (re[i] !== 0 || im[i] !== 0) return false;
  return true;
}

const TRANSPOSE_BLOCK = 32;

function transpose(data: Float32Array, size: number): void {
  const step = Math.min(TRANSPOSE_BLOCK, size);
  for (let top = 0; top < size; top += step) {
    for (let left = top; left < size; left += step) {
      for (let y = top; y < top + step; y++) {
        for (let x = top === left ? y + 1 : left; x < left + step; x++) {
          const swap = data[y * size + x] as number;
          data[y * size + x] = data[x * size + y] as number;
          data[x * size + y] = swap;
        }
      }
    }
  }
}
