// Lays all repetitions of the pattern over each other. Driven by ../src/watermark/fold.ts.
import { COUNT, PIXELS, PLANE, ROW_GAP, SUM } from './memory';

const PERIOD: i32 = 512;
const MASK: i32 = PERIOD - 1;
/** Wider than any frame: positions are made positive before they wrap. */
const POSITIVE: f64 = 512 * 64;

function addTo(row: i32, column: i32, weight: f32, value: f32): void {
  const at = (<usize>(row * PERIOD + column)) << 2;
  store<f32>(SUM + at, load<f32>(SUM + at) + weight * value);
  store<f32>(COUNT + at, load<f32>(COUNT + at) + weight * weight);
}

export function clearFold(): void {
  memory.fill(SUM, 0, PERIOD * PERIOD * 4);
  memory.fill(COUNT, 0, PERIOD * PERIOD * 4);
}

/** Every picture pixel gives its value to the four canonical pixels around it: (a·x + b·y + tx, c·x + d·y + ty). */
export function spread(width: i32, height: i32, a: f64, b: f64, c: f64, d: f64, tx: f64, ty: f64): void {
  let from = PIXELS;
  for (let y = 0; y < height; y++) {
    let px = b * <f64>y + tx + POSITIVE;
    let py = d * <f64>y + ty + POSITIVE;
    for (let x = 0; x < width; x++) {
      const x0 = <i32>px;
      const y0 = <i32>py;
      const fx = <f32>(px - <f64>x0);
      const fy = <f32>(py - <f64>y0);
      const value = load<f32>(from);
      addTo(y0 & MASK, x0 & MASK, (1 - fx) * (1 - fy), value);
      addTo(y0 & MASK, (x0 + 1) & MASK, fx * (1 - fy), value);
      addTo((y0 + 1) & MASK, x0 & MASK, (1 - fx) * fy, value);
      addTo((y0 + 1) & MASK, (x0 + 1) & MASK, fx * fy, value);
      from += 4;
      px += a;
      py += c;
    }
  }
}

/** One canonical pixel takes from the picture at (px, py), which lies inside. */
function take(to: usize, width: i32, px: f32, py: f32): void {
  const left = <i32>px;
  const top = <i32>py;
  const fx = px - <f32>left;
  const at = PIXELS + ((<usize>(top * width + left)) << 2);
  const below = at + ((<usize>width) << 2);
  const upper = load<f32>(at) + fx * (load<f32>(at, 4) - load<f32>(at));
  const lower = load<f32>(below) + fx * (load<f32>(below, 4) - load<f32>(below));
  store<f32>(SUM + to, load<f32>(SUM + to) + upper + (py - <f32>top) * (lower - upper));
  store<f32>(COUNT + to, load<f32>(COUNT + to) + 1);
}

/** Four of them at once, side by side in the canonical frame. */
function takeFour(to: usize, width: i32, px: v128, py: v128): void {
  const left = i32x4.trunc_sat_f32x4_s(px);
  const top = i32x4.trunc_sat_f32x4_s(py);
  const fx = f32x4.sub(px, f32x4.convert_i32x4_s(left));
  const fy = f32x4.sub(py, f32x4.convert_i32x4_s(top));
  const at = i32x4.shl(i32x4.add(i32x4.mul(top, i32x4.splat(width)), left), 2);
  const row = (<usize>width) << 2;
  const a = PIXELS + <usize>i32x4.extract_lane(at, 0);
  const b = PIXELS + <usize>i32x4.extract_lane(at, 1);
  const c = PIXELS + <usize>i32x4.extract_lane(at, 2);
  const d = PIXELS + <usize>i32x4.extract_lane(at, 3);
  // each load brings a pixel and its right neighbour
  const upperAb = v128.shuffle<i64>(v128.load64_zero(a), v128.load64_zero(b), 0, 2);
  const upperCd = v128.shuffle<i64>(v128.load64_zero(c), v128.load64_zero(d), 0, 2);
  const lowerAb = v128.shuffle<i64>(v128.load64_zero(a + row), v128.load64_zero(b + row), 0, 2);
  const lowerCd = v128.shuffle<i64>(v128.load64_zero(c + row), v128.load64_zero(d + row), 0, 2);
  const upper = between(
    v128.shuffle<f32>(upperAb, upperCd, 0, 2, 4, 6),
    v128.shuffle<f32>(upperAb, upperCd, 1, 3, 5, 7),
    fx,
  );
  const lower = between(
    v128.shuffle<f32>(lowerAb, lowerCd, 0, 2, 4, 6),
    v128.shuffle<f32>(lowerAb, lowerCd, 1, 3, 5, 7),
    fx,
  );
  v128.store(SUM + to, f32x4.add(v128.load(SUM + to), between(upper, lower, fy)));
  v128.store(COUNT + to, f32x4.add(v128.load(COUNT + to), f32x4.splat(1)));
}

function between(a: v128, b: v128, share: v128): v128 {
  return f32x4.add(a, f32x4.mul(share, f32x4.sub(b, a)));
}

/** The first x for which start + step·x lies in [0, limit), and the last, within `from` and `to`; from > to when none. */
let insideFrom: i32 = 0;
let insideTo: i32 = 0;
function narrow(start: f64, step: f64, limit: f64): void {
  if (abs(step) < 1e-12) {
    if (start < 0 || start >= limit) insideTo = insideFrom - 1;
    return;
  }
  const one = -start / step;
  const other = (limit - start) / step;
  insideFrom = max(insideFrom, <i32>ceil(min(one, other) + 1e-4));
  insideTo = min(insideTo, <i32>floor(max(one, other) - 1e-4));
}

/** Canonical pixels from (left, top) to (right, bottom) take from the picture: (a·x + b·y + tx, c·x + d·y + ty). */
export function gather(
  width: i32,
  height: i32,
  left: i32,
  top: i32,
  right: i32,
  bottom: i32,
  a: f64,
  b: f64,
  c: f64,
  d: f64,
  tx: f64,
  ty: f64,
): void {
  const lanes = f32x4(0, 1, 2, 3);
  const stepX = f32x4.mul(f32x4.splat(<f32>a), lanes);
  const stepY = f32x4.mul(f32x4.splat(<f32>c), lanes);
  for (let y = top; y <= bottom; y++) {
    const row = (<usize>((y & MASK) * PERIOD)) << 2;
    const startX = b * <f64>y + tx;
    const startY = d * <f64>y + ty;
    insideFrom = left;
    insideTo = right;
    narrow(startX, a, <f64>(width - 1));
    narrow(startY, c, <f64>(height - 1));
    const end = insideTo;
    for (let x = insideFrom; x <= end;) {
      const to = row + ((<usize>(x & MASK)) << 2);
      const px = <f32>(startX + a * <f64>x);
      const py = <f32>(startY + c * <f64>x);
      if ((x & 3) == 0 && x + 3 <= end) {
        takeFour(to, width, f32x4.add(f32x4.splat(px), stepX), f32x4.add(f32x4.splat(py), stepY));
        x += 4;
      } else {
        take(to, width, px, py);
        x++;
      }
    }
  }
}

/** The same through a homography, whose denominator is g·x + h·y + 1. */
export function gatherTilted(
  width: i32,
  height: i32,
  left: i32,
  top: i32,
  right: i32,
  bottom: i32,
  a: f64,
  b: f64,
  c: f64,
  d: f64,
  tx: f64,
  ty: f64,
  g: f64,
  h: f64,
): void {
  const limitX = <f64>(width - 1);
  const limitY = <f64>(height - 1);
  for (let y = top; y <= bottom; y++) {
    const row = (<usize>((y & MASK) * PERIOD)) << 2;
    let numeratorX = a * <f64>left + b * <f64>y + tx;
    let numeratorY = c * <f64>left + d * <f64>y + ty;
    let denominator = g * <f64>left + h * <f64>y + 1;
    for (let x = left; x <= right; x++) {
      const px = numeratorX / denominator;
      const py = numeratorY / denominator;
      if (denominator > 0.2 && px >= 0 && py >= 0 && px < limitX && py < limitY) {
        take(row + ((<usize>(x & MASK)) << 2), width, <f32>px, <f32>py);
      }
      numeratorX += a;
      numeratorY += c;
      denominator += g;
    }
  }
}

/** Sums over √count into PLANE, ready to be transformed. */
export function evenOut(): void {
  const least = f32x4.splat(1e-3);
  for (let y = 0; y < PERIOD; y++) {
    const to = PLANE + ((<usize>(y * (PERIOD + ROW_GAP))) << 2);
    const from = (<usize>(y * PERIOD)) << 2;
    for (let x: usize = 0; x < (<usize>PERIOD) << 2; x += 16) {
      const weight = f32x4.sqrt(f32x4.max(least, v128.load(COUNT + from + x)));
      v128.store(to + x, f32x4.div(v128.load(SUM + from + x), weight));
    }
  }
}
