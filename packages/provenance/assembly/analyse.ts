// A picture locally normalised and whitened. Driven by ../src/watermark/analyse.ts, which says what each number is for.
import { ACROSS, BINS_IM, BINS_RE, HALF_IM, HALF_RE, PIXELS, PLANE, POWERS, ROW_GAP, SQUARES, SUMS } from './memory';

/**
 * Mean of (2·radius + 1)² values, the border repeated. `to` may be `from`. Rows are `width` values long; up to three
 * values behind the last row are written too.
 */
function blur(from: usize, to: usize, width: i32, height: i32, radius: i32): void {
  const row = (<usize>width) << 2;
  const share = 1 / <f64>(2 * radius + 1);
  for (let y = 0; y < height; y += 4) sumAcross(from, row, y, width, height, radius, share);
  memory.fill(SUMS, 0, (<usize>width) << 3);
  for (let i = -radius; i <= radius; i++) {
    addRow(ACROSS + <usize>min(height - 1, max(0, i)) * row, width, 1);
  }
  const shares = f64x2.splat(share);
  for (let y = 0; y < height; y++) {
    const enters = ACROSS + <usize>min(height - 1, y + radius + 1) * row;
    const leaves = ACROSS + <usize>max(0, y - radius) * row;
    const target = to + <usize>y * row;
    for (let x: usize = 0; x < row; x += 16) {
      const low = v128.load(SUMS + (x << 1));
      const high = v128.load(SUMS + (x << 1), 16);
      v128.store(target + x, narrowed(f64x2.mul(low, shares), f64x2.mul(high, shares)));
      const change = f32x4.sub(v128.load(enters + x), v128.load(leaves + x));
      v128.store(SUMS + (x << 1), f64x2.add(low, f64x2.promote_low_f32x4(change)));
      v128.store(SUMS + (x << 1), f64x2.add(high, f64x2.promote_low_f32x4(upper(change))), 16);
    }
  }
}

/** Four rows at once: one running sum would wait for itself. A row that is not there is the last one again. */
function sumAcross(from: usize, row: usize, y: i32, width: i32, height: i32, radius: i32, share: f64): void {
  const a = <usize>y * row;
  const b = <usize>min(height - 1, y + 1) * row;
  const c = <usize>min(height - 1, y + 2) * row;
  const d = <usize>min(height - 1, y + 3) * row;
  let sumA: f64 = 0;
  let sumB: f64 = 0;
  let sumC: f64 = 0;
  let sumD: f64 = 0;
  for (let i = -radius; i <= radius; i++) {
    const at = from + ((<usize>min(width - 1, max(0, i))) << 2);
    sumA += <f64>load<f32>(at + a);
    sumB += <f64>load<f32>(at + b);
    sumC += <f64>load<f32>(at + c);
    sumD += <f64>load<f32>(at + d);
  }
  for (let x = 0; x < width; x++) {
    const at = ACROSS + ((<usize>x) << 2);
    store<f32>(at + a, <f32>(sumA * share));
    store<f32>(at + b, <f32>(sumB * share));
    store<f32>(at + c, <f32>(sumC * share));
    store<f32>(at + d, <f32>(sumD * share));
    const enters = from + ((<usize>min(width - 1, x + radius + 1)) << 2);
    const leaves = from + ((<usize>max(0, x - radius)) << 2);
    sumA += <f64>(load<f32>(enters + a) - load<f32>(leaves + a));
    sumB += <f64>(load<f32>(enters + b) - load<f32>(leaves + b));
    sumC += <f64>(load<f32>(enters + c) - load<f32>(leaves + c));
    sumD += <f64>(load<f32>(enters + d) - load<f32>(leaves + d));
  }
}

/** SUMS + `sign` · a row of `width` values. */
function addRow(from: usize, width: i32, sign: f64): void {
  const signs = f64x2.splat(sign);
  for (let x: usize = 0; x < (<usize>width) << 2; x += 16) {
    const values = v128.load(from + x);
    const at = SUMS + (x << 1);
    v128.store(at, f64x2.add(v128.load(at), f64x2.mul(signs, f64x2.promote_low_f32x4(values))));
    v128.store(at, f64x2.add(v128.load(at, 16), f64x2.mul(signs, f64x2.promote_low_f32x4(upper(values)))), 16);
  }
}

function upper(values: v128): v128 {
  return i64x2.splat(i64x2.extract_lane(values, 1));
}

/** Two pairs in double precision as four values. */
function narrowed(low: v128, high: v128): v128 {
  return v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
}

/**
 * PIXELS (luma, 0…255) → PLANE with rows of `size`: local mean off, local deviation to one, outliers cut, dead flat areas
 * lowered, the border faded in over `taper` pixels.
 */
export function normalise(
  width: i32,
  height: i32,
  size: i32,
  residualRadius: i32,
  varianceRadius: i32,
  noiseFloor: f32,
  most: f32,
  flat: f32,
  taper: f32,
): void {
  const count = (<usize>(width * height)) << 2;
  blur(PIXELS, SQUARES, width, height, residualRadius);
  for (let i: usize = 0; i < count; i += 16) {
    const residual = f32x4.sub(v128.load(PIXELS + i), v128.load(SQUARES + i));
    v128.store(PIXELS + i, residual);
    v128.store(SQUARES + i, f32x4.mul(residual, residual));
  }
  blur(SQUARES, SQUARES, width, height, varianceRadius);
  // the sums are done: their place holds how far each column has faded in
  for (let x = 0; x < width; x++) store<f32>(SUMS + ((<usize>x) << 2), fade(x, width, taper));
  const stride = (<usize>(size + ROW_GAP)) << 2;
  const row = (<usize>width) << 2;
  const zero = f32x4.splat(0);
  const floor = f32x4.splat(noiseFloor);
  const flatness = f32x4.splat(flat);
  const highest = f32x4.splat(most);
  const lowest = f32x4.splat(-most);
  for (let y = 0; y < height; y++) {
    const fadeY = f32x4.splat(fade(y, height, taper));
    const from = <usize>y * row;
    const to = PLANE + <usize>y * stride;
    for (let x: usize = 0; x < row; x += 16) {
      const deviation = f32x4.sqrt(f32x4.max(zero, v128.load(SQUARES + from + x)));
      const value = f32x4.div(v128.load(PIXELS + from + x), f32x4.add(deviation, floor));
      const cut = f32x4.max(lowest, f32x4.min(highest, value));
      const texture = f32x4.sqrt(f32x4.div(deviation, f32x4.add(deviation, flatness)));
      v128.store(to + x, f32x4.mul(f32x4.mul(f32x4.mul(cut, texture), fadeY), v128.load(SUMS + x)));
    }
    // eight columns are transformed at once
    for (let x = width; x & 7; x++) store<f32>(to + ((<usize>x) << 2), 0);
  }
}

function fade(at: i32, length: i32, taper: f32): f32 {
  return min<f32>(1, (<f32>min(at, length - 1 - at) + 0.5) / taper);
}

/** Mean over (2·radius + 1)² bins of half a spectrum in rows of `size`, wrapping round as frequencies do. */
function spectralMean(from: usize, to: usize, size: i32, radius: i32): void {
  const half = size >> 1;
  const row = (<usize>size) << 2;
  for (let k = 0; k <= half; k += 4) sumAround(from, row, k, half, radius);
  memory.fill(SUMS, 0, (<usize>size) << 3);
  for (let k = -radius; k <= radius; k++) addSpectralRow(size, k, 1);
  const shares = f64x2.splat(1 / <f64>((2 * radius + 1) * (2 * radius + 1)));
  const zero = f64x2.splat(0);
  for (let k = 0; k <= half; k++) {
    const target = to + <usize>k * row;
    for (let j: usize = 0; j < row; j += 16) {
      const low = f64x2.max(zero, v128.load(SUMS + (j << 1)));
      const high = f64x2.max(zero, v128.load(SUMS + (j << 1), 16));
      v128.store(target + j, narrowed(f64x2.mul(low, shares), f64x2.mul(high, shares)));
    }
    addSpectralRow(size, k + radius + 1, 1);
    addSpectralRow(size, k - radius, -1);
  }
}

/** As `sumAcross`, round the row's ends, and not yet divided. */
function sumAround(from: usize, row: usize, k: i32, half: i32, radius: i32): void {
  const wrap = row - 1;
  const a = <usize>k * row;
  const b = <usize>min(half, k + 1) * row;
  const c = <usize>min(half, k + 2) * row;
  const d = <usize>min(half, k + 3) * row;
  let sumA: f64 = 0;
  let sumB: f64 = 0;
  let sumC: f64 = 0;
  let sumD: f64 = 0;
  for (let j = -radius; j <= radius; j++) {
    const at = from + ((<usize>(j << 2)) & wrap);
    sumA += <f64>load<f32>(at + a);
    sumB += <f64>load<f32>(at + b);
    sumC += <f64>load<f32>(at + c);
    sumD += <f64>load<f32>(at + d);
  }
  const reach = (<usize>radius) << 2;
  for (let j: usize = 0; j < row; j += 4) {
    const at = ACROSS + j;
    store<f32>(at + a, <f32>sumA);
    store<f32>(at + b, <f32>sumB);
    store<f32>(at + c, <f32>sumC);
    store<f32>(at + d, <f32>sumD);
    const enters = from + ((j + reach + 4) & wrap);
    const leaves = from + ((j - reach) & wrap);
    sumA += <f64>load<f32>(enters + a) - <f64>load<f32>(leaves + a);
    sumB += <f64>load<f32>(enters + b) - <f64>load<f32>(leaves + b);
    sumC += <f64>load<f32>(enters + c) - <f64>load<f32>(leaves + c);
    sumD += <f64>load<f32>(enters + d) - <f64>load<f32>(leaves + d);
  }
}

/** Row −k is row k reversed, and so is half + k. */
function addSpectralRow(size: i32, k: i32, sign: f64): void {
  const half = size >> 1;
  const row = abs(k) <= half ? abs(k) : size - k;
  const start = ACROSS + ((<usize>(row * size)) << 2);
  if (k < 0 || k > half) {
    for (let j = 0; j < size; j++) {
      const at = SUMS + ((<usize>j) << 3);
      store<f64>(at, load<f64>(at) + sign * <f64>load<f32>(start + ((<usize>(-j & (size - 1))) << 2)));
    }
    return;
  }
  addRow(start, size, sign);
}

/**
 * Divides every bin of HALF by its neighbourhood's amplitude and cuts outliers, in place; the power over the
 * neighbourhood's mean, not cut, goes to POWERS in rows of `size`.
 */
export function whiten(size: i32, radius: i32, peak: f32, most: f32): void {
  const gap = (<usize>ROW_GAP) << 2;
  const rows = (size >> 1) + 1;
  const count = (<usize>(rows * size)) << 2;
  let bin: usize = 0;
  for (let k = 0, i: usize = 0; k < rows; k++, bin += gap) {
    for (let j = 0; j < size; j += 4, i += 16, bin += 16) {
      const re = v128.load(HALF_RE + bin);
      const im = v128.load(HALF_IM + bin);
      v128.store(POWERS + i, f32x4.add(f32x4.mul(re, re), f32x4.mul(im, im)));
    }
  }
  spectralMean(POWERS, SQUARES, size, radius);
  // once more with peaks cut: a line must not hide itself
  const peaks = f32x4.splat(peak);
  for (let i: usize = 0; i < count; i += 16) {
    v128.store(SQUARES + i, f32x4.min(v128.load(POWERS + i), f32x4.mul(peaks, v128.load(SQUARES + i))));
  }
  spectralMean(SQUARES, SQUARES, size, radius);
  const one = f32x4.splat(1);
  const largest = f32x4.splat(most);
  const least = f32x4.splat(1e-6);
  bin = 0;
  for (let k = 0, i: usize = 0; k < rows; k++, bin += gap) {
    for (let j = 0; j < size; j += 4, i += 16, bin += 16) {
      const mean = f32x4.add(v128.load(SQUARES + i), least);
      const relative = f32x4.div(v128.load(POWERS + i), mean);
      v128.store(POWERS + i, relative);
      const amplitude = f32x4.sqrt(relative);
      const cut = v128.bitselect(f32x4.div(largest, amplitude), one, f32x4.gt(amplitude, largest));
      const factor = f32x4.div(cut, f32x4.sqrt(mean));
      v128.store(HALF_RE + bin, f32x4.mul(v128.load(HALF_RE + bin), factor));
      v128.store(HALF_IM + bin, f32x4.mul(v128.load(HALF_IM + bin), factor));
    }
  }
}

/** |bin|² of HALF into POWERS in rows of `size`, after every bin was multiplied by `scale`. */
export function powers(size: i32, scale: f32): void {
  const gap = (<usize>ROW_GAP) << 2;
  let bin: usize = 0;
  for (let k = 0, i: usize = 0; k <= size >> 1; k++, bin += gap) {
    for (let j = 0; j < size; j++, i += 4, bin += 4) {
      const re = scale * load<f32>(HALF_RE + bin);
      const im = scale * load<f32>(HALF_IM + bin);
      store<f32>(HALF_RE + bin, re);
      store<f32>(HALF_IM + bin, im);
      store<f32>(POWERS + i, re * re + im * im);
    }
  }
}

/** PLANE in rows of `size` → PIXELS in rows of `width`, brought to a mean square of 1. */
export function toUnit(width: i32, height: i32, size: i32): void {
  const stride = (<usize>(size + ROW_GAP)) << 2;
  let total: f64 = 0;
  for (let y = 0, to = PIXELS; y < height; y++) {
    for (let x: usize = 0, from = PLANE + <usize>y * stride; x < <usize>width; x++, to += 4) {
      const value = load<f32>(from + (x << 2));
      store<f32>(to, value);
      total += <f64>value * <f64>value;
    }
  }
  const scale = total == 0 ? <f32>0 : <f32>sqrt<f64>(<f64>(width * height) / total);
  for (let to = PIXELS, end = PIXELS + ((<usize>(width * height)) << 2); to < end; to += 4) {
    store<f32>(to, load<f32>(to) * scale);
  }
}

/** A square of PIXELS under a sine window → PLANE; what lies outside the picture is 0. Answers the window's energy inside. */
export function cutBlock(width: i32, height: i32, left: i32, top: i32, size: i32): f64 {
  const stride = (<usize>(size + ROW_GAP)) << 2;
  let total: f64 = 0;
  // SUMS holds the window: a sine is dear
  for (let i = 0; i < size; i++) {
    store<f64>(SUMS + ((<usize>i) << 3), NativeMath.sin((Math.PI * (<f64>i + 0.5)) / <f64>size));
  }
  for (let y = 0; y < size; y++) {
    const row = <f32>load<f64>(SUMS + ((<usize>y) << 3));
    const to = PLANE + <usize>y * stride;
    for (let x = 0; x < size; x++) {
      let value: f32 = 0;
      if (top + y < height && left + x < width) {
        const weight = row * <f32>load<f64>(SUMS + ((<usize>x) << 3));
        value = weight * load<f32>(PIXELS + ((<usize>((top + y) * width + left + x)) << 2));
        total += <f64>(weight * weight);
      }
      store<f32>(to + ((<usize>x) << 2), value);
    }
  }
  return total;
}

/** HALF → BINS, every bin turned so that phases count from the middle (x, y) of the picture. */
export function centre(size: i32, middleX: f64, middleY: f64): void {
  const stride = (<usize>(size + ROW_GAP)) << 2;
  // SUMS holds pairs of cos and sin for every kx
  for (let k = 0; k < size; k++) {
    const turn = turnOf(k < size >> 1 ? k : k - size, middleX, size);
    store<f32>(SUMS + ((<usize>k) << 3), <f32>NativeMath.cos(turn));
    store<f32>(SUMS + ((<usize>k) << 3), <f32>NativeMath.sin(turn), 4);
  }
  for (let ky = 0; ky <= size >> 1; ky++) {
    const turn = turnOf(ky < size >> 1 ? ky : ky - size, middleY, size);
    const cy = <f32>NativeMath.cos(turn);
    const sy = <f32>NativeMath.sin(turn);
    let at = <usize>ky * stride;
    for (let kx: usize = 0; kx < <usize>size; kx++, at += 4) {
      const cx = load<f32>(SUMS + (kx << 3));
      const sx = load<f32>(SUMS + (kx << 3), 4);
      const cos = cx * cy - sx * sy;
      const sin = sx * cy + cx * sy;
      const re = load<f32>(HALF_RE + at);
      const im = load<f32>(HALF_IM + at);
      store<f32>(BINS_RE + at, re * cos - im * sin);
      store<f32>(BINS_IM + at, re * sin + im * cos);
    }
    // a row's first bins follow its last: eight are read at once
    memory.copy(BINS_RE + at, BINS_RE + <usize>ky * stride, 32);
    memory.copy(BINS_IM + at, BINS_IM + <usize>ky * stride, 32);
  }
}

function turnOf(k: i32, middle: f64, size: i32): f64 {
  return (2 * Math.PI * ((<f64>k * middle) % <f64>size)) / <f64>size;
}
