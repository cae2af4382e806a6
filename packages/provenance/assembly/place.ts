// Adds a change to rows of 8-bit samples; a module of its own, ../src/watermark/place.wasm, driven by place.ts there,
// which says what is computed. All sums are those of its integers, in whatever order: the bytes are the same.

/** The change on the canonical grid, i32, at most 1024×1024 and a row of padding. */
export const GRID: usize = 1024;
/** One canonical line between two rows, i32, and one value that repeats the last. */
export const LINE: usize = GRID + 1025 * 1024 * 4;
/** First pixel of each canonical column, u32, and one more. */
export const STARTS: usize = LINE + 8192;
/** Of every pixel the weight of its right neighbour, i32. A picture of 16 MP is at most 125,000 pixels wide. */
export const WEIGHTS: usize = STARTS + 8192;
/** Change of every pixel of a row, i16. */
const CHANGES: usize = WEIGHTS + 125_056 * 4;
/** The samples of a row. */
export const ROW: usize = CHANGES + 125_056 * 2;

/**
 * @param top byte offset in GRID of the line above
 * @param bottom of the line below
 * @param share of the line below, 0…255 of 256
 * @param shift bits of the sums below a grey level
 */
export function changeRow(columns: i32, top: usize, bottom: usize, share: i32, shift: i32): void {
  const above = i32x4.splat(256 - share);
  const below = i32x4.splat(share);
  for (let at: usize = 0; at < (<usize>columns) << 2; at += 16) {
    const sum = i32x4.add(
      i32x4.mul(v128.load(GRID + top + at), above),
      i32x4.mul(v128.load(GRID + bottom + at), below),
    );
    v128.store(LINE + at, sum);
  }
  store<i32>(LINE + ((<usize>columns) << 2), load<i32>(LINE + ((<usize>(columns - 1)) << 2)));
  const half = 1 << (shift - 1);
  for (let column: usize = 0; column < <usize>columns; column++) {
    const left = load<i32>(LINE + (column << 2));
    const step = i32x4.splat(load<i32>(LINE + (column << 2), 4) - left);
    const start = i32x4.splat((left << 8) + half);
    const end = load<u32>(STARTS + (column << 2), 4);
    // what is written beyond the column is written again by the next one
    for (let x = load<u32>(STARTS + (column << 2)); x < end; x += 4) {
      const weights = v128.load(WEIGHTS + ((<usize>x) << 2));
      const change = i32x4.shr_s(i32x4.add(start, i32x4.mul(step, weights)), shift);
      v128.store64_lane(CHANGES + ((<usize>x) << 1), i16x8.narrow_i32x4_s(change, change), 0);
    }
  }
}

/** Adds the row's changes to ROW, rounded down at white and up at black. One of a pixel's two bytes is 0. */
export function addGrey(width: i32): void {
  for (let x: usize = 0; x < <usize>width; x += 16) {
    v128.store(ROW + x, added(v128.load(ROW + x), raised(x), lowered(x)));
  }
}

export function addColour(width: i32): void {
  for (let x: usize = 0; x < <usize>width; x += 16) {
    const up = raised(x);
    const down = lowered(x);
    const at = ROW + x * 3;
    const first = i8x16(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5);
    const second = i8x16(5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10);
    const third = i8x16(10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15);
    v128.store(at, added(v128.load(at), i8x16.swizzle(up, first), i8x16.swizzle(down, first)));
    v128.store(at, added(v128.load(at, 16), i8x16.swizzle(up, second), i8x16.swizzle(down, second)), 16);
    v128.store(at, added(v128.load(at, 32), i8x16.swizzle(up, third), i8x16.swizzle(down, third)), 32);
  }
}

/** Alpha stays, and so do pixels that are fully transparent. */
export function addColourWithAlpha(width: i32): void {
  for (let x: usize = 0; x < <usize>width; x += 16) {
    const up = raised(x);
    const down = lowered(x);
    for (let part: usize = 0; part < 4; part++) {
      const at = ROW + (x << 2) + (part << 4);
      const samples = v128.load(at);
      const alpha = i8x16.swizzle(samples, i8x16(3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15));
      const isClear = i8x16.eq(alpha, i8x16.splat(0));
      // an index beyond 15 gives 0: no change of alpha
      const lanes = i8x16.add_sat_u(
        i8x16(0, 0, 0, -1, 1, 1, 1, -1, 2, 2, 2, -1, 3, 3, 3, -1),
        i8x16.splat(<i8>(part << 2)),
      );
      const sum = added(samples, i8x16.swizzle(up, lanes), i8x16.swizzle(down, lanes));
      v128.store(at, v128.bitselect(samples, sum, isClear));
    }
  }
}

function raised(x: usize): v128 {
  const at = CHANGES + (x << 1);
  return i8x16.narrow_i16x8_u(v128.load(at), v128.load(at, 16));
}

function lowered(x: usize): v128 {
  const at = CHANGES + (x << 1);
  return i8x16.narrow_i16x8_u(i16x8.neg(v128.load(at)), i16x8.neg(v128.load(at, 16)));
}

function added(samples: v128, up: v128, down: v128): v128 {
  return i8x16.sub_sat_u(i8x16.add_sat_u(samples, up), down);
}
