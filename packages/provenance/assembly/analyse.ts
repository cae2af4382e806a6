// A picture locally normalised and whitened. Driven by ../src/watermark/analyse.ts, which says what each number is for.
import { ACROSS, BINS_IM, BINS_RE, HALF_IM, HALF_RE, PIXELS, PLANE, POWERS, ROW_GAP, SQUARES, SUMS } from './memory';

/** Mean of (2·radius + 1)² values, the border repeated. `to` may be `from`. Rows are `width` values long. */
function blur(from: usize, to: usize, width: i32, height: i32, radius: i32): void {
  const row = (<usize>width) << 2;
  const share = 1 / <f64>(2 * radius + 1);
  for (let y = 0; y < height; y++) {
    const start = from + <usize>y * row;
    const target = ACROSS + <usize>y * row;
    let sum: f64 = 0;
    for (let i = -radius; i <= radius; i++) sum += <f64>load<f32>(start + ((<usize>min(width - 1, max(0, i))) << 2));
    for (let x = 0; x < width; x++) {
      store<f32>(target + ((<usize>x) << 2), <f32>(sum * share));
      const enters = load<f32>(start + ((<usize>min(width - 1, x + radius + 1)) << 2));
      sum += <f64>(enters - load<f32>(start + ((<usize>max(0, x - radius)) << 2)));
    }
  }
  memory.fill(SUMS, 0, (<usize>width) << 3);
  for (let i = -radius; i <= radius; i++) {
    addRow(ACROSS + <usize>min(height - 1, max(0, i)) * row, width);
  }
  for (let y = 0; y < height; y++) {
    const enters = ACROSS + <usize>min(height - 1, y + radius + 1) * row;
    const leaves = ACROSS + <usize>max(0, y - radius) * row;
    const target = to + <usize>y * row;
    for (let x: usize = 0; x < <usize>width; x++) {
      const sum = load<f64>(SUMS + (x << 3));
      store<f32>(target + (x << 2), <f32>(sum * share));
      store<f64>(SUMS + (x << 3), sum + <f64>(load<f32>(enters + (x << 2)) - load<f32>(leaves + (x << 2))));
    }
  }
}

function addRow(from: usize, width: i32): void {
  for (let x: usize = 0; x < <usize>width; x++) {
    store<f64>(SUMS + (x << 3), load<f64>(SUMS + (x << 3)) + <f64>load<f32>(from + (x << 2)));
  }
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
  for (let i: usize = 0; i < count; i += 4) {
    const residual = load<f32>(PIXELS + i) - load<f32>(SQUARES + i);
    store<f32>(PIXELS + i, residual);
    store<f32>(SQUARES + i, residual * residual);
  }
  blur(SQUARES, SQUARES, width, height, varianceRadius);
  const stride = (<usize>(size + ROW_GAP)) << 2;
  let from: usize = 0;
  for (let y = 0; y < height; y++) {
    const fadeY = fade(y, height, taper);
    let to = PLANE + <usize>y * stride;
    for (let x = 0; x < width; x++) {
      const deviation = sqrt<f32>(max<f32>(0, load<f32>(SQUARES + from)));
      const value = max<f32>(-most, min<f32>(most, load<f32>(PIXELS + from) / (deviation + noiseFloor)));
      store<f32>(to, value * sqrt<f32>(deviation / (deviation + flat)) * fadeY * fade(x, width, taper));
      from += 4;
      to += 4;
    }
    // eight columns are transformed at once
    for (let x = width; x & 7; x++, to += 4) store<f32>(to, 0);
  }
}

function fade(at: i32, length: i32, taper: f32): f32 {
  return min<f32>(1, (<f32>min(at, length - 1 - at) + 0.5) / taper);
}

/** Mean over (2·radius + 1)² bins of half a spectrum in rows of `size`, wrapping round as frequencies do. */
function spectralMean(from: usize, to: usize, size: i32, radius: i32): void {
  const half = size >> 1;
  const wrap = size - 1;
  const row = (<usize>size) << 2;
  for (let k = 0; k <= half; k++) {
    const start = from + <usize>k * row;
    const target = ACROSS + <usize>k * row;
    let sum: f64 = 0;
    for (let j = -radius; j <= radius; j++) sum += <f64>load<f32>(start + ((<usize>(j & wrap)) << 2));
    for (let j = 0; j < size; j++) {
      store<f32>(target + ((<usize>j) << 2), <f32>sum);
      const enters = load<f32>(start + ((<usize>((j + radius + 1) & wrap)) << 2));
      sum += <f64>enters - <f64>load<f32>(start + ((<usize>((j - radius) & wrap)) << 2));
    }
  }
  memory.fill(SUMS, 0, (<usize>size) << 3);
  for (let k = -radius; k <= radius; k++) addSpectralRow(size, k, 1);
  const share = 1 / <f64>((2 * radius + 1) * (2 * radius + 1));
  for (let k = 0; k <= half; k++) {
    const target = to + <usize>k * row;
    for (let j: usize = 0; j < <usize>size; j++) {
      store<f32>(target + (j << 2), <f32>(max<f64>(0, load<f64>(SUMS + (j << 3))) * share));
    }
    addSpectralRow(size, k + radius + 1, 1);
    addSpectralRow(size, k - radius, -1);
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
  for (let j: usize = 0; j < <usize>size; j++) {
    store<f64>(SUMS + (j << 3), load<f64>(SUMS + (j << 3)) + sign * <f64>load<f32>(start + (j << 2)));
  }
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
    for (let j = 0; j < size; j++, i += 4, bin += 4) {
      const re = load<f32>(HALF_RE + bin);
      const im = load<f32>(HALF_IM + bin);
      store<f32>(POWERS + i, re * re + im * im);
    }
  }
  spectralMean(POWERS, SQUARES, size, radius);
  // once more with peaks cut: a line must not hide itself
  for (let i: usize = 0; i < count; i += 4) {
    store<f32>(SQUARES + i, min<f32>(load<f32>(POWERS + i), peak * load<f32>(SQUARES + i)));
  }
  spectralMean(SQUARES, SQUARES, size, radius);
  bin = 0;
  for (let k = 0, i: usize = 0; k < rows; k++, bin += gap) {
    for (let j = 0; j < size; j++, i += 4, bin += 4) {
      const mean = load<f32>(SQUARES + i) + 1e-6;
      const relative = load<f32>(POWERS + i) / mean;
      store<f32>(POWERS + i, relative);
      const amplitude = sqrt<f32>(relative);
      const factor = (amplitude > most ? most / amplitude : 1) / sqrt<f32>(mean);
      store<f32>(HALF_RE + bin, load<f32>(HALF_RE + bin) * factor);
      store<f32>(HALF_IM + bin, load<f32>(HALF_IM + bin) * factor);
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
