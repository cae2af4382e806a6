// Where the mark of a picture is missing: parts that were painted over, pasted in, or cloned after it was marked.
// The mark's strength elsewhere in the same picture says how strong it ought to be, so compression alone changes nothing.
import type { Luma } from '../codec/codec.ts';
import { analyse, boxBlur, type Analysis } from './analyse.ts';
import { fold, type Affine, type Folded } from './fold.ts';
import type { PayloadKey, SyncKey } from './keys.ts';
import { MAX_RADIUS, MIN_RADIUS, payloadPattern, PERIOD, renderPattern, type PayloadPattern } from './pattern.ts';
import { encodeId } from './polar.ts';

export interface PresenceMap {
  /** Cells in row order; those at the right and lower edge may be narrower. */
  cellsX: number;
  cellsY: number;
  /** Side of a cell in pixels of the luma. */
  cellPx: number;
  /** Correlation with the known mark around each cell, in deviations: mean 0 and deviation 1 where there is no mark. */
  evidence: Float32Array;
  /** What the evidence would be with the mark as strong as in comparable parts of the picture. */
  expected: Float32Array;
  /** 0 the mark is there, 1 it is missing, 2 too little was expected to tell. */
  state: Uint8Array;
  /** Connected parts without the mark, largest first. */
  regions: MissingRegion[];
  /** Share of the cells that can tell in which the mark is missing. */
  changedShare: number;
}

export interface MissingRegion {
  /** Fractions of the picture's width and height. */
  left: number;
  top: number;
  width: number;
  height: number;
  cells: number;
  /**
   * log₁₀ of the probability that a part with the mark lies as far below the expected, times the number of cells.
   * From a normal model of this picture's own scatter: a strong hint, not a bound as the detector's.
   */
  log10p: number;
}

export const PRESENT = 0;
export const MISSING = 1;
export const CANNOT_TELL = 2;

/** Side of a cell at a long side of 1024; smaller pictures have smaller ones, but not as small as they themselves are. */
const CELL_PX = 32;
/** A cell is given the evidence of the window of four cells by four around it. */
const WINDOW_CELLS = 2;
/** Windows that would hardly show a mark say nothing about its absence. */
const MIN_EXPECTED = 4;
/** Mean of log(1 + local deviation). In flatter parts a quantiser swallows the mark: compression looks like paint there. */
const QUIET = Math.log(2);
/** Black and white leave no room for a mark. */
const CLIPPED_SHARE = 0.15;
/** A window with less of the mark than this lies for the most part inside an edit. */
const HALF_LEFT = 0.5;
/** What is left in a region on the average; at its border windows still hold some. */
const LEFT_SHARE = 0.35;
/** Evidence that cannot be chance, however strong the mark is elsewhere. */
const SEEN = 4;
/** All cells of the picture counted. Chosen on 18 photographs in five unedited versions (docs/decisions/watermark-statistics.md). */
const MISSING_LOG10P = -8;
/** Windows overlap: so many cells hold as much as one window of their own. */
const CELLS_PER_WINDOW = 8;
/** Shifts of the pattern by which its chance correlation is measured: far from each other and from the origin. */
const DECOYS = [
  { x: 131, y: 77 },
  { x: 263, y: 397 },
  { x: 59, y: 311 },
  { x: 401, y: 193 },
] as const;
/** Weight of the picture's own variance against the decoys of one window. */
const PRIOR_DECOYS = 8;

/** Picture from canonical positions, of a picture that was tilted too: the denominator is g·x + h·y + 1. */
export type Projection = Affine & { g?: number; h?: number };

/**
 * Compares every part of a picture with the mark that it is known to carry.
 * @param luma the picture in which `detect` found the id
 * @param map where it found it: positions in `luma` from canonical ones
 */
export function presenceMap(
  luma: Luma,
  map: Projection,
  keys: { sync: SyncKey; payload: PayloadKey },
  id: bigint,
): PresenceMap {
  const picture = analyse(luma);
  const pattern = payloadPattern(keys.payload, keys.sync);
  const codeword = encodeId(id);
  const placed = refined(picture, map, matchedTemplate(fold(picture, map), pattern, codeword));
  const template = matchedTemplate(fold(picture, placed), pattern, codeword);
  const grid = gridOf(picture);
  const evidence = windowSums(products(picture, placed, template, { x: 0, y: 0 }), grid);
  standardise(
    evidence,
    DECOYS.map((shift) => windowSums(products(picture, placed, template, shift), grid)),
  );
  const active = activity(luma, grid);
  const clipped = clippedShare(luma, grid);
  const { expected, scatter } = expectation(evidence, active);
  const deficit = Float32Array.from(evidence, (value, i) => {
    const usual = expected[i] as number;
    return (usual - value) / Math.sqrt(1 + (scatter * usual) ** 2);
  });
  const state = Uint8Array.from(evidence, (value, i) => {
    const usual = expected[i] as number;
    if (usual < MIN_EXPECTED) return CANNOT_TELL;
    if (value >= HALF_LEFT * usual) return PRESENT;
    return (active[i] as number) < QUIET || (clipped[i] as number) > CLIPPED_SHARE ? CANNOT_TELL : MISSING;
  });
  const regions = missingRegions({ evidence, expected, deficit, state }, grid);
  const telling = state.reduce((count, value) => count + (value === CANNOT_TELL ? 0 : 1), 0);
  const missing = regions.reduce((count, { cells }) => count + cells, 0);
  const { cellsX, cellsY, cellPx } = grid;
  const changedShare = telling === 0 ? 0 : missing / telling;
  return { cellsX, cellsY, cellPx, evidence, expected, state, regions, changedShare };
}

interface Grid {
  width: number;
  height: number;
  cellPx: number;
  cellsX: number;
  cellsY: number;
}

function gridOf({ width, height }: { width: number; height: number }): Grid {
  const cellPx = Math.max(8, Math.round(CELL_PX * Math.sqrt(Math.max(width, height) / 1_024)));
  return { width, height, cellPx, cellsX: Math.ceil(width / cellPx), cellsY: Math.ceil(height / cellPx) };
}

/** The mark as it came through: every ring of frequencies as strong as the whole picture shows it. RMS 1. */
function matchedTemplate(folded: Folded, payload: PayloadPattern, codeword: Int8Array): Float32Array {
  const width = 12;
  const sums = new Float64Array(Math.ceil((MAX_RADIUS + 1) / width));
  const counts = new Float64Array(sums.length);
  const ringOf = (bin: number): number =>
    Math.floor(Math.hypot(payload.u[bin] as number, payload.v[bin] as number) / width);
  for (let bin = 0; bin < payload.u.length; bin++) {
    const at = (payload.v[bin] as number) * PERIOD + ((payload.u[bin] as number) & (PERIOD - 1));
    const [re, im] = [2 * bin, 2 * bin + 1];
    const ring = ringOf(bin);
    sums[ring] =
      (sums[ring] as number) +
      (folded.re[at] as number) * (payload.sign[re] as number) * (codeword[payload.symbol[re] as number] as number) +
      (folded.im[at] as number) * (payload.sign[im] as number) * (codeword[payload.symbol[im] as number] as number);
    counts[ring] = (counts[ring] as number) + 2;
  }
  const strength = sums.map((sum, ring) => Math.max(0, sum / Math.max(1, counts[ring] as number)));
  // a picture without any of it is compared with all frequencies alike
  if (strength.every((value) => value === 0)) strength.fill(1, Math.floor(MIN_RADIUS / width));
  const amplitude = Float32Array.from(payload.amplitude, (_, bin) => strength[ringOf(bin)] as number);
  return renderPattern(null, { ...payload, amplitude }, codeword);
}

/** Pixels at a corner of the picture, tried in turn. */
const CORNER_STEPS = [2, 1, 0.5] as const;
const MOST_PASSES = 4;
/** Every fourth pixel of every fourth row: 60,000 of a million are enough to say which of two maps is the better. */
const SAMPLE_STRIDE = 4;

/**
 * The map under which the picture as a whole shows most of the mark. Of a crop the search knows the scale to a few in a
 * thousand: enough to read an id, but three pixels at the far side, where the mark then seemed to be missing.
 */
function refined(picture: Analysis, map: Projection, template: Float32Array): Projection {
  const score = (candidate: Projection): number => {
    let sum = 0;
    eachProduct(picture, candidate, template, { x: 0, y: 0 }, SAMPLE_STRIDE, (_at, value) => (sum += value));
    return sum;
  };
  let [best, most] = [map, score(map)];
  for (const step of CORNER_STEPS) {
    for (let pass = 0, isBetter = true; isBetter && pass < MOST_PASSES; pass++) {
      isBetter = false;
      for (const corner of [0, 1, 2] as const) {
        for (const [dx, dy] of [
          [step, 0],
          [-step, 0],
          [0, step],
          [0, -step],
        ] as const) {
          const candidate = pulled(best, picture, corner, dx, dy);
          const reached = score(candidate);
          if (reached <= most) continue;
          [best, most, isBetter] = [candidate, reached, true];
        }
      }
    }
  }
  return best;
}

/** The map with one corner of the picture (top left, top right, bottom left) moved and the two others held. */
function pulled(map: Projection, { width, height }: Analysis, corner: 0 | 1 | 2, dx: number, dy: number): Projection {
  // how much of the move a position takes: 1 at the corner, 0 at the others, linear in between
  const [perX, perY, constant] = (
    [
      [-1 / width, -1 / height, 1],
      [1 / width, 0, 0],
      [0, 1 / height, 0],
    ] as const
  )[corner];
  const { a, b, c, d, tx, ty, g = 0, h = 0 } = map;
  const share = (x: number, y: number, w: number): number => perX * x + perY * y + constant * w;
  return {
    a: a + dx * share(a, c, g),
    b: b + dx * share(b, d, h),
    tx: tx + dx * share(tx, ty, 1),
    c: c + dy * share(a, c, g),
    d: d + dy * share(b, d, h),
    ty: ty + dy * share(tx, ty, 1),
    g,
    h,
  };
}

/** Whitened pixel times the pattern at its canonical position. */
function products(
  picture: Analysis,
  map: Projection,
  template: Float32Array,
  shift: { x: number; y: number },
): Float32Array {
  const values = new Float32Array(picture.width * picture.height);
  eachProduct(picture, map, template, shift, 1, (at, value) => (values[at] = value));
  return values;
}

/** Tells `take` the product at every `stride`th pixel of every `stride`th row (the pattern bilinear). */
function eachProduct(
  { width, height, pixels }: Analysis,
  map: Projection,
  template: Float32Array,
  shift: { x: number; y: number },
  stride: number,
  take: (at: number, value: number) => void,
): void {
  const back = inverseProjection(map);
  const mask = PERIOD - 1;
  for (let y = 0; y < height; y += stride) {
    let [upX, upY, down] = [back.b * y + back.tx, back.d * y + back.ty, back.h * y + 1];
    for (let x = 0; x < width; x += stride, upX += back.a * stride, upY += back.c * stride, down += back.g * stride) {
      const px = upX / down + shift.x;
      const py = upY / down + shift.y;
      const x0 = Math.floor(px);
      const y0 = Math.floor(py);
      const [fx, fy] = [px - x0, py - y0];
      const top = (y0 & mask) * PERIOD;
      const bottom = ((y0 + 1) & mask) * PERIOD;
      const [left, right] = [x0 & mask, (x0 + 1) & mask];
      const upper = (template[top + left] as number) * (1 - fx) + (template[top + right] as number) * fx;
      const lower = (template[bottom + left] as number) * (1 - fx) + (template[bottom + right] as number) * fx;
      const at = y * width + x;
      take(at, (pixels[at] as number) * (upper + (lower - upper) * fy));
    }
  }
}

/** Canonical from picture positions: the adjugate of the matrix, its last element brought to 1. */
function inverseProjection({ a, b, c, d, tx, ty, g = 0, h = 0 }: Projection): Required<Projection> {
  const scale = a * d - b * c;
  return {
    a: (d - ty * h) / scale,
    b: (tx * h - b) / scale,
    tx: (b * ty - tx * d) / scale,
    c: (ty * g - c) / scale,
    d: (a - tx * g) / scale,
    ty: (tx * c - a * ty) / scale,
    g: (c * h - d * g) / scale,
    h: (b * g - a * h) / scale,
  };
}

/** Sum over the window around every cell's middle, divided by the root of its area. */
function windowSums(values: Float32Array, { width, height, cellPx, cellsX, cellsY }: Grid): Float32Array {
  const stride = width + 1;
  const integral = new Float64Array(stride * (height + 1));
  for (let y = 0, i = 0; y < height; y++) {
    let row = 0;
    for (let x = 0; x < width; x++, i++) {
      row += values[i] as number;
      integral[(y + 1) * stride + x + 1] = (integral[y * stride + x + 1] as number) + row;
    }
  }
  const sums = new Float32Array(cellsX * cellsY);
  for (let cy = 0, cell = 0; cy < cellsY; cy++) {
    const [top, bottom] = span(cy, cellPx, height);
    for (let cx = 0; cx < cellsX; cx++, cell++) {
      const [left, right] = span(cx, cellPx, width);
      const sum =
        (integral[bottom * stride + right] as number) -
        (integral[bottom * stride + left] as number) -
        (integral[top * stride + right] as number) +
        (integral[top * stride + left] as number);
      sums[cell] = sum / Math.sqrt((right - left) * (bottom - top));
    }
  }
  return sums;
}

function span(cell: number, cellPx: number, length: number): [number, number] {
  const middle = (cell + 0.5) * cellPx;
  const reach = WINDOW_CELLS * cellPx;
  return [Math.max(0, Math.floor(middle - reach)), Math.min(length, Math.ceil(middle + reach))];
}

/** Divides by the deviation of what shifted patterns give at the same place, held to the picture's. */
function standardise(evidence: Float32Array, decoys: readonly Float32Array[]): void {
  const variance = new Float64Array(evidence.length);
  for (const decoy of decoys) for (let i = 0; i < variance.length; i++) variance[i]! += (decoy[i] as number) ** 2;
  const overall = variance.reduce((sum, value) => sum + value, 0) / (variance.length * decoys.length) + 1e-12;
  for (let i = 0; i < evidence.length; i++) {
    const local = ((variance[i] as number) + PRIOR_DECOYS * overall) / (decoys.length + PRIOR_DECOYS);
    evidence[i] = (evidence[i] as number) / Math.sqrt(local);
  }
}

/** Mean logarithm of the local deviation in every cell's window: the mark and its survival depend on it most of all. */
function activity({ data, width, height }: Luma, grid: Grid): Float32Array {
  const mean = boxBlur(data, width, height, 4);
  const squares = boxBlur(
    data.map((value, i) => (value - (mean[i] as number)) ** 2),
    width,
    height,
    4,
  );
  const logs = squares.map((value) => Math.log(1 + Math.sqrt(Math.max(0, value))));
  return windowMeans(logs, grid);
}

function clippedShare({ data }: Luma, grid: Grid): Float32Array {
  return windowMeans(
    data.map((value) => (value < 2 || value > 253 ? 1 : 0)),
    grid,
  );
}

function windowMeans(values: Float32Array, grid: Grid): Float32Array {
  const { width, height, cellPx, cellsX } = grid;
  return windowSums(values, grid).map((sum, cell) => {
    const [top, bottom] = span(Math.floor(cell / cellsX), cellPx, height);
    const [left, right] = span(cell % cellsX, cellPx, width);
    return sum / Math.sqrt((right - left) * (bottom - top));
  });
}

/** Share of the cells, nearest in activity, that a cell is compared with, and the quantile taken: an edit may cover a third. */
const COMPARED_SHARE = 0.4;
const COMPARED_QUANTILE = 0.6;

/** Evidence that comparable cells show, and how far cells with the mark scatter above it, as a share of it. */
function expectation(evidence: Float32Array, active: Float32Array): { expected: Float32Array; scatter: number } {
  const order = Array.from(active, (_, i) => i).sort((a, b) => (active[a] as number) - (active[b] as number));
  const near = Math.max(1, Math.round((COMPARED_SHARE * order.length) / 2));
  const expected = new Float32Array(evidence.length);
  for (const [rank, cell] of order.entries()) {
    const start = Math.max(0, Math.min(rank - near, order.length - 2 * near));
    const values = Float32Array.from(order.slice(start, start + 2 * near), (i) => evidence[i] as number).sort();
    expected[cell] = Math.max(0, values[Math.floor(COMPARED_QUANTILE * (values.length - 1))] as number);
  }
  // the upper side only: an edit pulls the lower one
  const above = Float32Array.from(evidence, (value, i) => value / Math.max(1e-6, expected[i] as number) - 1)
    .filter((value, i) => value > 0 && (expected[i] as number) >= MIN_EXPECTED)
    .sort();
  const spread = above.length === 0 ? 0 : 1.4826 * (above[above.length >> 1] as number);
  return { expected, scatter: Math.min(0.5, Math.max(0.1, spread)) };
}

/** log₁₀ of the normal tail above z (Mills ratio, R. Gordon 1941: an upper bound for z > 0). */
function log10Tail(z: number): number {
  if (z <= 0.4) return Math.log10(0.5);
  return Math.min(Math.log10(0.5), -(z * z) / 2 / Math.LN10 - Math.log10(z * Math.sqrt(2 * Math.PI)));
}

interface Cells {
  evidence: Float32Array;
  expected: Float32Array;
  /** How far the evidence lies below what is expected, in deviations of cells with the mark. */
  deficit: Float32Array;
  state: Uint8Array;
}

/** Connected missing cells (sides and corners); what chance explains is taken to be present, in place. */
function missingRegions(all: Cells, grid: Grid): MissingRegion[] {
  const { state } = all;
  const seen = new Uint8Array(state.length);
  const regions: MissingRegion[] = [];
  for (let start = 0; start < state.length; start++) {
    if (state[start] !== MISSING || seen[start] === 1) continue;
    const cells = connected(start, state, seen, grid.cellsX, grid.cellsY);
    const log10p = regionLog10p(cells, all);
    if (log10p <= MISSING_LOG10P) regions.push({ ...boundsOf(cells, grid), cells: cells.length, log10p });
    else for (const cell of cells) state[cell] = PRESENT;
  }
  return regions.sort((a, b) => b.cells - a.cells);
}

/** 0 when too much of the mark is left. */
function regionLog10p(cells: readonly number[], { evidence, expected, deficit }: Cells): number {
  const sumOf = (values: Float32Array): number => cells.reduce((sum, cell) => sum + (values[cell] as number), 0);
  if (sumOf(evidence) > LEFT_SHARE * sumOf(expected)) return 0;
  const sorted = Float32Array.from(cells, (cell) => evidence[cell] as number).sort();
  // weaker than elsewhere, but there
  if ((sorted[sorted.length >> 1] as number) > SEEN) return 0;
  const windows = Math.max(1, cells.length / CELLS_PER_WINDOW);
  const z = (sumOf(deficit) / cells.length) * Math.sqrt(windows);
  return Math.min(0, log10Tail(z) + Math.log10(evidence.length));
}

function boundsOf(
  cells: readonly number[],
  { width, height, cellPx, cellsX }: Grid,
): Omit<MissingRegion, 'cells' | 'log10p'> {
  const xs = cells.map((cell) => cell % cellsX);
  const ys = cells.map((cell) => Math.floor(cell / cellsX));
  const [left, top] = [Math.min(...xs) * cellPx, Math.min(...ys) * cellPx];
  const right = Math.min(width, (Math.max(...xs) + 1) * cellPx);
  const bottom = Math.min(height, (Math.max(...ys) + 1) * cellPx);
  return {
    left: left / width,
    top: top / height,
    width: (right - left) / width,
    height: (bottom - top) / height,
  };
}

function connected(start: number, state: Uint8Array, seen: Uint8Array, cellsX: number, cellsY: number): number[] {
  const cells = [start];
  seen[start] = 1;
  for (const cell of cells) {
    const [x, y] = [cell % cellsX, Math.floor(cell / cellsX)];
    for (let ny = Math.max(0, y - 1); ny <= Math.min(cellsY - 1, y + 1); ny++) {
      for (let nx = Math.max(0, x - 1); nx <= Math.min(cellsX - 1, x + 1); nx++) {
        const next = ny * cellsX + nx;
        if (state[next] !== MISSING || seen[next] === 1) continue;
        seen[next] = 1;
        cells.push(next);
      }
    }
  }
  return cells;
}
