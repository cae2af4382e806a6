// Figures about pictures and about counts, each checked against an independent source in measures.test.ts.
import type { Raster } from './raster.ts';

/**
 * Least rate that `ok` of `n` successes are compatible with, one-sided 95 % (C. J. Clopper and E. S. Pearson 1934): the p at
 * which so many or more happen once in twenty times. Bisection on the binomial tail, error below 1e-9.
 */
export function lower95(ok: number, n: number): number {
  if (ok === 0) return 0;
  let [low, high] = [0, 1];
  for (let i = 0; i < 60; i++) {
    const p = (low + high) / 2;
    if (tailFrom(ok, n, p) < 0.05) low = p;
    else high = p;
  }
  return low;
}

/** P(X ≥ ok) of a binomial distribution. */
function tailFrom(ok: number, n: number, p: number): number {
  if (p <= 0) return ok === 0 ? 1 : 0;
  if (p >= 1) return 1;
  let logTerm = n * Math.log1p(-p);
  let below = 0;
  for (let k = 0; k < ok; k++) {
    below += Math.exp(logTerm);
    logTerm += Math.log((n - k) / (k + 1)) + Math.log(p) - Math.log1p(-p);
  }
  return Math.max(0, 1 - below);
}

const C1 = (0.01 * 255) ** 2;
const C2 = (0.03 * 255) ** 2;

/** SSIM of the luma (Z. Wang 2004): Gaussian window of σ 1.5 and 11 pixels, mean over all whole windows. */
export function ssim(one: Raster, other: Raster): number {
  const { width, height } = one;
  const [a, b] = [lumaOf(one), lumaOf(other)];
  const smooth = (values: Float64Array): Float64Array => gaussian11(values, width, height);
  const [ma, mb] = [smooth(a), smooth(b)];
  const [aa, bb, ab] = [smooth(multiply(a, a)), smooth(multiply(b, b)), smooth(multiply(a, b))];
  let sum = 0;
  for (let i = 0; i < ma.length; i++) {
    const [x, y] = [ma[i] as number, mb[i] as number];
    const [vx, vy, vxy] = [(aa[i] as number) - x * x, (bb[i] as number) - y * y, (ab[i] as number) - x * y];
    sum += ((2 * x * y + C1) * (2 * vxy + C2)) / ((x * x + y * y + C1) * (vx + vy + C2));
  }
  return sum / ma.length;
}

const multiply = (x: Float64Array, y: Float64Array): Float64Array => x.map((value, i) => value * (y[i] as number));

const lumaOf = ({ data }: Raster): Float64Array =>
  Float64Array.from(
    { length: data.length / 3 },
    (_, i) =>
      0.299 * (data[3 * i] as number) + 0.587 * (data[3 * i + 1] as number) + 0.114 * (data[3 * i + 2] as number),
  );

const WINDOW = ((): Float64Array => {
  const weights = Float64Array.from({ length: 11 }, (_, i) => Math.exp(-((i - 5) ** 2) / (2 * 1.5 ** 2)));
  const total = weights.reduce((sum, value) => sum + value, 0);
  return weights.map((value) => value / total);
})();

/** Whole windows only: (width − 10)×(height − 10) values. */
function gaussian11(values: Float64Array, width: number, height: number): Float64Array {
  const w = width - 10;
  const across = new Float64Array(w * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let k = 0; k < 11; k++) sum += (WINDOW[k] as number) * (values[y * width + x + k] as number);
      across[y * w + x] = sum;
    }
  }
  const out = new Float64Array(w * (height - 10));
  for (let y = 0; y < height - 10; y++) {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let k = 0; k < 11; k++) sum += (WINDOW[k] as number) * (across[(y + k) * w + x] as number);
      out[y * w + x] = sum;
    }
  }
  return out;
}

/** Least PSNR of the 64×64 squares of a grid, dB, and where it is. */
export function worstPatch(one: Raster, other: Raster): { psnr: number; left: number; top: number } {
  let worst = { psnr: Infinity, left: 0, top: 0 };
  for (let top = 0; top + 64 <= one.height; top += 64) {
    for (let left = 0; left + 64 <= one.width; left += 64) {
      let squares = 0;
      for (let y = top; y < top + 64; y++) {
        for (let i = (y * one.width + left) * 3, end = i + 192; i < end; i++) {
          squares += ((one.data[i] as number) - (other.data[i] as number)) ** 2;
        }
      }
      const psnr = 10 * Math.log10((255 * 255 * 64 * 64 * 3) / Math.max(squares, 1e-9));
      if (psnr < worst.psnr) worst = { psnr, left, top };
    }
  }
  return worst;
}
