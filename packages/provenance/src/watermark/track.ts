// A picture that was tilted, bent or pasted into another has no one map. One part of it shows the lines; from there
// neighbouring blocks are followed one by one, and a homography is laid through what they say.
import { analyseBlock, type Analysis } from './analyse.ts';
import { inverseOf, type Affine } from './fold.ts';
import { PERIOD, type SyncPattern } from './pattern.ts';
import { follow, type Settled } from './search.ts';

/** Picture from canonical positions: x' = (a·x + b·y + tx) / (g·x + h·y + 1), y' likewise. */
export interface Homography extends Affine {
  g: number;
  h: number;
}

const BLOCK = 256;
const STRIDE = 128;
/** Blocks in which the lines agree less are not believed; by chance the best of a block's few places reaches 4.5. */
const MIN_BLOCK_Z = 5;
const MIN_BLOCKS = 4;
const FIT_ROUNDS = 6;
const ENOUGH_LOOKED = 8;
const ENOUGH_FOUND = 3;

interface Block {
  /** Middle in the picture. */
  x: number;
  y: number;
  /** The canonical position there. */
  u: number;
  v: number;
  z: number;
  map: Affine;
}

/** Follows the mark from where `anchor` holds; null when too few blocks show it. */
export function track(
  picture: Analysis,
  sync: SyncPattern,
  anchor: Settled,
  at: { x: number; y: number },
): Homography | null {
  const blocks = grow(picture, sync, anchor.map, at);
  return blocks.length < MIN_BLOCKS ? null : fitHomography(blocks);
}

function grow(picture: Analysis, sync: SyncPattern, map: Affine, at: { x: number; y: number }): Block[] {
  const size = Math.min(BLOCK, 1 << Math.floor(Math.log2(Math.min(picture.width, picture.height))));
  const positions = (length: number): number[] => {
    const count = Math.max(1, Math.round((length - size) / STRIDE) + 1);
    return Array.from({ length: count }, (_, i) => (count === 1 ? 0 : Math.round(((length - size) * i) / (count - 1))));
  };
  const open = positions(picture.height).flatMap((top) => positions(picture.width).map((left) => ({ left, top })));
  const found: Block[] = [];
  const nearestOf = (x: number, y: number): { map: Affine; distance: number } => {
    let best = { map, distance: Math.hypot(at.x - x, at.y - y) };
    for (const block of found) {
      const distance = Math.hypot(block.x - x, block.y - y);
      if (distance < best.distance) best = { map: block.map, distance };
    }
    return best;
  };
  // the block next to what is known comes first: its prediction is the surest
  for (let looked = 0; open.length > 0; looked++) {
    // an anchor by chance has no neighbours
    if (looked === ENOUGH_LOOKED && found.length < ENOUGH_FOUND) return [];
    const half = (size - 1) / 2;
    let [pick, distance] = [0, Infinity];
    for (const [i, { left, top }] of open.entries()) {
      const d = nearestOf(left + half, top + half).distance;
      if (d < distance) [pick, distance] = [i, d];
    }
    const [{ left, top }] = open.splice(pick, 1) as [{ left: number; top: number }];
    const [x, y] = [left + half, top + half];
    const local = shifted(nearestOf(x, y).map, -left, -top);
    const seen = follow(analyseBlock(picture, left, top, size), sync, local);
    if (seen.z < MIN_BLOCK_Z) continue;
    const whole = shifted(seen.map, left, top);
    const back = inverseOf(whole);
    found.push({
      x,
      y,
      u: back.a * x + back.b * y + back.tx,
      v: back.c * x + back.d * y + back.ty,
      z: seen.z,
      map: whole,
    });
  }
  return found;
}

const shifted = (map: Affine, dx: number, dy: number): Affine => ({ ...map, tx: map.tx + dx, ty: map.ty + dy });

/**
 * Weighted least squares in the projective equations, canonical positions brought to ±1; blocks that disagree count less
 * in every round. The two projective terms are held back so that few blocks do not bend the map.
 */
function fitHomography(blocks: readonly Block[]): Homography {
  const total = blocks.reduce((sum, { z }) => sum + z, 0);
  const mu = blocks.reduce((sum, { u, z }) => sum + u * z, 0) / total;
  const mv = blocks.reduce((sum, { v, z }) => sum + v * z, 0) / total;
  const unit = PERIOD;
  let weights = blocks.map(({ z }) => z);
  let m: Float64Array = new Float64Array(8);
  for (let round = 0; round < FIT_ROUNDS; round++) {
    const rows = Array.from({ length: 8 }, () => new Float64Array(9));
    for (const [i, { x, y, u, v }] of blocks.entries()) {
      const [p, q] = [(u - mu) / unit, (v - mv) / unit];
      const w = weights[i] as number;
      addEquation(rows, [p, q, 1, 0, 0, 0, -x * p, -x * q], x, w);
      addEquation(rows, [0, 0, 0, p, q, 1, -y * p, -y * q], y, w);
    }
    const hold = 2e2 * total;
    for (const k of [6, 7]) (rows[k] as Float64Array)[k] = ((rows[k] as Float64Array)[k] as number) + hold;
    m = solve(rows);
    weights = blocks.map(({ x, y, u, v, z }) => {
      const [p, q] = [(u - mu) / unit, (v - mv) / unit];
      const d = (m[6] as number) * p + (m[7] as number) * q + 1;
      const ex = ((m[0] as number) * p + (m[1] as number) * q + (m[2] as number)) / d - x;
      const ey = ((m[3] as number) * p + (m[4] as number) * q + (m[5] as number)) / d - y;
      return z / (1 + (ex * ex + ey * ey) / 4);
    });
  }
  // back from (p, q) to canonical positions, the denominator's constant to 1
  const [m0, m1, m2, m3, m4, m5, m6, m7] = m as unknown as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const constant = 1 - (m6 * mu + m7 * mv) / unit;
  const [k, c] = [1 / unit / constant, 1 / constant];
  return {
    a: m0 * k,
    b: m1 * k,
    tx: (m2 - (m0 * mu + m1 * mv) / unit) * c,
    c: m3 * k,
    d: m4 * k,
    ty: (m5 - (m3 * mu + m4 * mv) / unit) * c,
    g: m6 * k,
    h: m7 * k,
  };
}

function addEquation(rows: readonly Float64Array[], terms: readonly number[], right: number, weight: number): void {
  for (let i = 0; i < 8; i++) {
    const row = rows[i] as Float64Array;
    const factor = weight * (terms[i] as number);
    for (let j = 0; j < 8; j++) row[j] = (row[j] as number) + factor * (terms[j] as number);
    row[8] = (row[8] as number) + factor * right;
  }
}

/** Gauss-Jordan; a pivot of nothing leaves its unknown at 0. */
function solve(rows: readonly Float64Array[]): Float64Array {
  const order = [...rows];
  for (let column = 0; column < 8; column++) {
    let best = column;
    for (let i = column + 1; i < 8; i++) {
      if (Math.abs(order[i]?.[column] ?? 0) > Math.abs(order[best]?.[column] ?? 0)) best = i;
    }
    [order[column], order[best]] = [order[best] as Float64Array, order[column] as Float64Array];
    const pivot = order[column] as Float64Array;
    const head = pivot[column] as number;
    if (Math.abs(head) < 1e-12) continue;
    for (let k = column; k < 9; k++) pivot[k] = (pivot[k] as number) / head;
    for (const [i, row] of order.entries()) {
      const factor = row[column] as number;
      if (i === column || factor === 0) continue;
      for (let k = column; k < 9; k++) row[k] = (row[k] as number) - factor * (pivot[k] as number);
    }
  }
  return Float64Array.from(order, (row) => row[8] as number);
}
