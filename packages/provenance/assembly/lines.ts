// Looks keyed lines up in a spectrum: very many maps at once (scan), the power of one map, and its bins between bins.
// Driven by ../src/watermark/search.ts, which says what each is for.
import {
  BINS_IM,
  BINS_RE,
  COSINES,
  LINE_U,
  LINE_V,
  POLAR,
  POWER,
  RADII,
  READ_IM,
  READ_RE,
  ROW_GAP,
  SCORES,
  SINES,
  STARTS,
} from './memory';

/** POWER (half a spectrum of `size`) by angle and radius: nearest bins. `stride` values a row hold the angles twice. */
export function toPolar(size: i32, rows: i32, angles: i32, stride: i32): void {
  const wrap = size - 1;
  for (let row = 0; row < rows; row++) {
    const radius = load<f32>(RADII + ((<usize>row) << 2));
    const to = POLAR + ((<usize>(row * stride)) << 2);
    for (let t = 0; t < angles; t++) {
      const x = radius * load<f32>(COSINES + ((<usize>t) << 2));
      // angles of 0…π: y is never negative
      const y = radius * load<f32>(SINES + ((<usize>t) << 2));
      const bin = <i32>(y + 0.5) * size + ((<i32>(x + <f32>size + 0.5)) & wrap);
      const value = load<f32>(POWER + ((<usize>bin) << 2));
      store<f32>(to + ((<usize>t) << 2), value);
      store<f32>(to + ((<usize>(t + angles)) << 2), value);
    }
  }
}

/** SCORES[t] = Σ over `lines` of the polar plane at STARTS + t, for t = 0…angles − 1 (written up to a multiple of 16). */
export function scanRow(lines: i32, angles: i32): void {
  for (let t: usize = 0; t < <usize>angles; t += 16) {
    let a = f32x4.splat(0);
    let b = f32x4.splat(0);
    let c = f32x4.splat(0);
    let d = f32x4.splat(0);
    for (let i: usize = 0; i < <usize>lines; i++) {
      const at = POLAR + ((<usize>load<u32>(STARTS + (i << 2)) + t) << 2);
      a = f32x4.add(a, v128.load(at));
      b = f32x4.add(b, v128.load(at, 16));
      c = f32x4.add(c, v128.load(at, 32));
      d = f32x4.add(d, v128.load(at, 48));
    }
    const to = SCORES + (t << 2);
    v128.store(to, a);
    v128.store(to, b, 16);
    v128.store(to, c, 32);
    v128.store(to, d, 48);
  }
}

function powerAt(x: i32, y: i32, size: i32): f32 {
  const wrap = size - 1;
  const at = y < 0 ? -y * size + (-x & wrap) : y * size + (x & wrap);
  return load<f32>(POWER + ((<usize>at) << 2));
}

/** Mean power above 1 of the lines under a map, between bins (bilinear), times √count. POWER holds power without outliers. */
export function linePower(size: i32, lines: i32, a: f32, b: f32, c: f32, d: f32): f32 {
  const limit = <f32>(size / 2 - 3);
  let sum: f32 = 0;
  let used = 0;
  for (let i: usize = 0; i < <usize>lines; i++) {
    const u = load<f32>(LINE_U + (i << 2));
    const v = load<f32>(LINE_V + (i << 2));
    const x = a * u + b * v;
    const y = c * u + d * v;
    if (abs(x) > limit || abs(y) > limit) continue;
    const left = floor(x);
    const top = floor(y);
    const fx = x - left;
    const fy = y - top;
    const x0 = <i32>left;
    const y0 = <i32>top;
    const upper = powerAt(x0, y0, size) * (1 - fx) + powerAt(x0 + 1, y0, size) * fx;
    const lower = powerAt(x0, y0 + 1, size) * (1 - fx) + powerAt(x0 + 1, y0 + 1, size) * fx;
    sum += upper * (1 - fy) + lower * fy - 1;
    used++;
  }
  return sum / sqrt<f32>(<f32>max(8, used));
}

/** Taps on each side; eight in all are two vectors. */
const TAPS: i32 = 4;

/** sin πt / πt at `at`, `at` − 1, …, `at` − 7 (0 < at < 8); one sine serves all, its sign alternates. */
function weight(sine: f32, at: f32, tap: i32): f32 {
  const distance = at - <f32>tap;
  if (abs(distance) < 1e-5) return 1;
  return (tap & 1 ? -sine : sine) / distance;
}

/** Bins at the lines' places between bins, cut at `most`; 0 where a line lies outside. Into READ_RE and READ_IM. */
export function sampleLines(size: i32, lines: i32, a: f64, b: f64, c: f64, d: f64, most: f64): void {
  const wrap = size - 1;
  const stride = size + ROW_GAP;
  const limit = <f64>(size / 2 - TAPS - 1);
  for (let i: usize = 0; i < <usize>lines; i++) {
    const u = <f64>load<f32>(LINE_U + (i << 2));
    const v = <f64>load<f32>(LINE_V + (i << 2));
    const fx = a * u + b * v;
    const fy = c * u + d * v;
    if (abs(fx) > limit || abs(fy) > limit) {
      store<f64>(READ_RE + (i << 3), 0);
      store<f64>(READ_IM + (i << 3), 0);
      continue;
    }
    const x0 = <i32>floor(fx) - TAPS + 1;
    const y0 = <i32>floor(fy) - TAPS + 1;
    const ax = <f32>(fx - <f64>x0);
    const ay = <f32>(fy - <f64>y0);
    // ax lies between 3 and 4: sin π(ax − 3) = −sin π·ax
    const sineX = -Mathf.sin(Mathf.PI * (ax - 3)) / Mathf.PI;
    const sineY = -Mathf.sin(Mathf.PI * (ay - 3)) / Mathf.PI;
    const w0 = f32x4(weight(sineX, ax, 0), weight(sineX, ax, 1), weight(sineX, ax, 2), weight(sineX, ax, 3));
    const w1 = f32x4(weight(sineX, ax, 4), weight(sineX, ax, 5), weight(sineX, ax, 6), weight(sineX, ax, 7));
    // rows below 0 are those above, turned by 180° and conjugated: their taps come in the opposite order
    const r0 = v128.shuffle<f32>(w1, w1, 3, 2, 1, 0);
    const r1 = v128.shuffle<f32>(w0, w0, 3, 2, 1, 0);
    const upright = (<usize>(x0 & wrap)) << 2;
    const turned = (<usize>(-(x0 + 2 * TAPS - 1) & wrap)) << 2;
    let re = f32x4.splat(0);
    let im = f32x4.splat(0);
    for (let t = 0; t < 2 * TAPS; t++) {
      const y = y0 + t;
      const wy = weight(sineY, ay, t);
      const isTurned = y < 0;
      const at = ((<usize>((isTurned ? -y : y) * stride)) << 2) + (isTurned ? turned : upright);
      const left = f32x4.mul(f32x4.splat(wy), isTurned ? r0 : w0);
      const right = f32x4.mul(f32x4.splat(wy), isTurned ? r1 : w1);
      re = f32x4.add(re, f32x4.mul(left, v128.load(BINS_RE + at)));
      re = f32x4.add(re, f32x4.mul(right, v128.load(BINS_RE + at, 16)));
      const part = f32x4.add(f32x4.mul(left, v128.load(BINS_IM + at)), f32x4.mul(right, v128.load(BINS_IM + at, 16)));
      im = isTurned ? f32x4.sub(im, part) : f32x4.add(im, part);
    }
    const sumRe = <f64>(
      (f32x4.extract_lane(re, 0) + f32x4.extract_lane(re, 1) + f32x4.extract_lane(re, 2) + f32x4.extract_lane(re, 3))
    );
    const sumIm = <f64>(
      (f32x4.extract_lane(im, 0) + f32x4.extract_lane(im, 1) + f32x4.extract_lane(im, 2) + f32x4.extract_lane(im, 3))
    );
    const amplitude = sqrt<f64>(sumRe * sumRe + sumIm * sumIm);
    const share = amplitude > most ? most / amplitude : 1;
    store<f64>(READ_RE + (i << 3), sumRe * share);
    store<f64>(READ_IM + (i << 3), sumIm * share);
  }
}
