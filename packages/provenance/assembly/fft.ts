// Fourier transforms of squares, four lines at once: a vector holds the same place of four lines, so no butterfly needs a
// shuffle. Driven by ../src/watermark/fft.ts.

import { HALF_IM, HALF_RE, IM, LANES, LINE, PLANE, REVERSED, ROW_GAP, TWIDDLES } from './memory';

function line(index: i32): usize {
  return LINE + ((<usize>index) << 4);
}

function reversed(size: i32, index: i32): usize {
  return line(<i32>load<u16>(REVERSED + ((<usize>size + <usize>index) << 1)));
}

/** Forward transform of four lines, whose values lie in bit-reversed order. Two radix-2 stages travel as one of radix 4. */
function transform(size: i32): void {
  let length = 1;
  if ((ctz(size) & 1) != 0) {
    for (let p = line(0), end = line(size); p < end; p += 32) {
      const ar = v128.load(p);
      const br = v128.load(p, 16);
      const ai = v128.load(p, IM);
      const bi = v128.load(p, IM + 16);
      v128.store(p, f32x4.add(ar, br));
      v128.store(p, f32x4.sub(ar, br), 16);
      v128.store(p, f32x4.add(ai, bi), IM);
      v128.store(p, f32x4.sub(ai, bi), IM + 16);
    }
    length = 2;
  }
  const table = TWIDDLES + ((<usize>size) << 3);
  const end = line(size);
  for (; length < size; length <<= 2) {
    const quarter = (<usize>length) << 4;
    const step = (<usize>(size / (length << 2))) << 3;
    for (let p0 = line(0); p0 < end; p0 += quarter << 2) {
      const p1 = p0 + quarter;
      const p2 = p1 + quarter;
      const p3 = p2 + quarter;
      butterfly(
        p0,
        p1,
        p2,
        p3,
        v128.load(p1),
        v128.load(p1, IM),
        v128.load(p2),
        v128.load(p2, IM),
        v128.load(p3),
        v128.load(p3, IM),
      );
    }
    for (let k = 1; k < length; k++) {
      const w1 = table + <usize>k * step;
      const w2 = w1 + <usize>k * step;
      const w3 = w2 + <usize>k * step;
      const c1 = v128.load32_splat(w1);
      const s1 = v128.load32_splat(w1, 4);
      const c2 = v128.load32_splat(w2);
      const s2 = v128.load32_splat(w2, 4);
      const c3 = v128.load32_splat(w3);
      const s3 = v128.load32_splat(w3, 4);
      for (let p0 = line(k); p0 < end; p0 += quarter << 2) {
        const p1 = p0 + quarter;
        const p2 = p1 + quarter;
        const p3 = p2 + quarter;
        const r1 = v128.load(p1);
        const i1 = v128.load(p1, IM);
        const r2 = v128.load(p2);
        const i2 = v128.load(p2, IM);
        const r3 = v128.load(p3);
        const i3 = v128.load(p3, IM);
        // bit-reversed order: the second quarter holds the values 2 mod 4, the third those 1 mod 4
        butterfly(
          p0,
          p1,
          p2,
          p3,
          f32x4.sub(f32x4.mul(r1, c2), f32x4.mul(i1, s2)),
          f32x4.add(f32x4.mul(r1, s2), f32x4.mul(i1, c2)),
          f32x4.sub(f32x4.mul(r2, c1), f32x4.mul(i2, s1)),
          f32x4.add(f32x4.mul(r2, s1), f32x4.mul(i2, c1)),
          f32x4.sub(f32x4.mul(r3, c3), f32x4.mul(i3, s3)),
          f32x4.add(f32x4.mul(r3, s3), f32x4.mul(i3, c3)),
        );
      }
    }
  }
}

function butterfly(
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  r1: v128,
  i1: v128,
  r2: v128,
  i2: v128,
  r3: v128,
  i3: v128,
): void {
  const r0 = v128.load(p0);
  const i0 = v128.load(p0, IM);
  const ar = f32x4.add(r0, r1);
  const ai = f32x4.add(i0, i1);
  const br = f32x4.sub(r0, r1);
  const bi = f32x4.sub(i0, i1);
  const cr = f32x4.add(r2, r3);
  const ci = f32x4.add(i2, i3);
  const dr = f32x4.sub(r2, r3);
  const di = f32x4.sub(i2, i3);
  v128.store(p0, f32x4.add(ar, cr));
  v128.store(p0, f32x4.add(ai, ci), IM);
  v128.store(p1, f32x4.add(br, di));
  v128.store(p1, f32x4.sub(bi, dr), IM);
  v128.store(p2, f32x4.sub(ar, cr));
  v128.store(p2, f32x4.sub(ai, ci), IM);
  v128.store(p3, f32x4.sub(br, di));
  v128.store(p3, f32x4.add(bi, dr), IM);
}

function low(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 0, 4, 1, 5);
}
function high(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 2, 6, 3, 7);
}

/** Four rows of a plane into the line, `part` being 0 or IM; values from `used` (a multiple of 4) on are 0. */
function loadRows(size: i32, from: usize, stride: usize, used: i32, part: usize, sign: v128): void {
  for (let x = 0; x < used; x += LANES) {
    const at = from + ((<usize>x) << 2);
    const a = f32x4.mul(v128.load(at), sign);
    const b = f32x4.mul(v128.load(at + stride), sign);
    const c = f32x4.mul(v128.load(at + 2 * stride), sign);
    const d = f32x4.mul(v128.load(at + 3 * stride), sign);
    const ac0 = low(a, c);
    const bd0 = low(b, d);
    const ac1 = high(a, c);
    const bd1 = high(b, d);
    v128.store(reversed(size, x) + part, low(ac0, bd0));
    v128.store(reversed(size, x + 1) + part, high(ac0, bd0));
    v128.store(reversed(size, x + 2) + part, low(ac1, bd1));
    v128.store(reversed(size, x + 3) + part, high(ac1, bd1));
  }
  const zero = f32x4.splat(0);
  for (let x = used; x < size; x++) v128.store(reversed(size, x) + part, zero);
}

function storeRows(size: i32, to: usize, stride: usize, part: usize): void {
  for (let x = 0; x < size; x += LANES) {
    const from = line(x) + part;
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const c = v128.load(from, 32);
    const d = v128.load(from, 48);
    const ac0 = low(a, c);
    const bd0 = low(b, d);
    const ac1 = high(a, c);
    const bd1 = high(b, d);
    const at = to + ((<usize>x) << 2);
    v128.store(at, low(ac0, bd0));
    v128.store(at + stride, high(ac0, bd0));
    v128.store(at + 2 * stride, low(ac1, bd1));
    v128.store(at + 3 * stride, high(ac1, bd1));
  }
}

/** All rows of the half spectrum, in place. */
function transformHalfRows(size: i32, used: i32, sign: v128): void {
  const stride = (<usize>(size + ROW_GAP)) << 2;
  const one = f32x4.splat(1);
  for (let v = 0; v <= size >> 1; v += LANES) {
    const at = <usize>v * stride;
    loadRows(size, HALF_RE + at, stride, used, 0, one);
    loadRows(size, HALF_IM + at, stride, used, IM, sign);
    transform(size);
    storeRows(size, HALF_RE + at, stride, 0);
    storeRows(size, HALF_IM + at, stride, IM);
  }
}

/** PLANE, real, `height` rows of which `width` (a multiple of 8) values count → rows 0…size/2 of the spectrum. */
export function forwardReal(size: i32, width: i32, height: i32): void {
  const stride = (<usize>(size + ROW_GAP)) << 2;
  const zero = f32x4.splat(0);
  const half = f32x4.splat(0.5);
  // eight columns travel as four complex ones
  for (let x = 0; x < width; x += 2 * LANES) {
    const column = (<usize>x) << 2;
    for (let y = 0, at = PLANE + column; y < height; y++, at += stride) {
      const to = reversed(size, y);
      v128.store(to, v128.load(at));
      v128.store(to, v128.load(at, 16), IM);
    }
    for (let y = height; y < size; y++) {
      const to = reversed(size, y);
      v128.store(to, zero);
      v128.store(to, zero, IM);
    }
    transform(size);
    for (let v = 0, at = column; v <= size >> 1; v++, at += stride) {
      const one = line(v);
      const other = line((size - v) & (size - 1));
      const ar = v128.load(one);
      const ai = v128.load(one, IM);
      const br = v128.load(other);
      const bi = v128.load(other, IM);
      v128.store(HALF_RE + at, f32x4.mul(half, f32x4.add(ar, br)));
      v128.store(HALF_IM + at, f32x4.mul(half, f32x4.sub(ai, bi)));
      v128.store(HALF_RE + at, f32x4.mul(half, f32x4.add(ai, bi)), 16);
      v128.store(HALF_IM + at, f32x4.mul(half, f32x4.sub(br, ar)), 16);
    }
  }
  transformHalfRows(size, width, f32x4.splat(1));
}

/** Reverses `forwardReal`; what lies beyond `width` (a multiple of 8) and `height` is not computed. */
export function inverseReal(size: i32, width: i32, height: i32): void {
  const stride = (<usize>(size + ROW_GAP)) << 2;
  // conj(F(conj(x))) is the inverse
  transformHalfRows(size, size, f32x4.splat(-1));
  const scale = f32x4.splat(1 / (<f32>size * <f32>size));
  for (let x = 0; x < width; x += 2 * LANES) {
    const column = (<usize>x) << 2;
    for (let v = 0, at = column; v <= size >> 1; v++, at += stride) {
      const ar = v128.load(HALF_RE + at);
      const ai = v128.load(HALF_IM + at);
      const br = v128.load(HALF_RE + at, 16);
      const bi = v128.load(HALF_IM + at, 16);
      const one = reversed(size, v);
      v128.store(one, f32x4.sub(ar, bi));
      v128.store(one, f32x4.add(ai, br), IM);
      if (v == 0 || v == size >> 1) continue;
      const other = reversed(size, size - v);
      v128.store(other, f32x4.add(ar, bi));
      v128.store(other, f32x4.sub(br, ai), IM);
    }
    transform(size);
    for (let y = 0, at = PLANE + column; y < height; y++, at += stride) {
      v128.store(at, f32x4.mul(scale, v128.load(line(y))));
      v128.store(at, f32x4.mul(scale, v128.load(line(y), IM)), 16);
    }
  }
}

/** Complex square of at most 512: real parts in PLANE, imaginary ones in HALF_RE, in place, not scaled. */
export function forwardComplex(size: i32): void {
  const stride = (<usize>(size + ROW_GAP)) << 2;
  const one = f32x4.splat(1);
  for (let y = 0; y < size; y += LANES) {
    const at = <usize>y * stride;
    // a few lines of the search fill a few rows: the others need no transform
    if (areZero(PLANE + at, size) && areZero(HALF_RE + at, size)) continue;
    loadRows(size, PLANE + at, stride, size, 0, one);
    loadRows(size, HALF_RE + at, stride, size, IM, one);
    transform(size);
    storeRows(size, PLANE + at, stride, 0);
    storeRows(size, HALF_RE + at, stride, IM);
  }
  for (let x = 0; x < size; x += LANES) {
    const column = (<usize>x) << 2;
    for (let y = 0, at = column; y < size; y++, at += stride) {
      const to = reversed(size, y);
      v128.store(to, v128.load(PLANE + at));
      v128.store(to, v128.load(HALF_RE + at), IM);
    }
    transform(size);
    for (let y = 0, at = column; y < size; y++, at += stride) {
      v128.store(PLANE + at, v128.load(line(y)));
      v128.store(HALF_RE + at, v128.load(line(y), IM));
    }
  }
}

/** Four rows. */
function areZero(from: usize, size: i32): bool {
  const stride = (<usize>(size + ROW_GAP)) << 2;
  let any = i32x4.splat(0);
  for (let row = 0; row < LANES; row++, from += stride) {
    for (let at = from, end = from + ((<usize>size) << 2); at < end; at += 16) any = v128.or(any, v128.load(at));
  }
  return !v128.any_true(any);
}
