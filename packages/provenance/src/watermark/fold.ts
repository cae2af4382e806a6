// All repetitions of the pattern laid over each other, and the symbols read from them.
import { CODE_LENGTH } from './polar.ts';
import { forwardHeld, halfSpectrum, readHeld, type HalfSpectrum } from './fft.ts';
import { holdPixels, native } from './native.ts';
import { MAX_RADIUS, MIN_RADIUS, PERIOD, SYNC_LINES, type PayloadPattern, type SyncPattern } from './pattern.ts';
import type { Analysis } from './analyse.ts';

/** Picture position = m · canonical position: x' = a·x + b·y + tx, y' = c·x + d·y + ty (positions of pixel centres). */
export interface Affine {
  a: number;
  b: number;
  c: number;
  d: number;
  tx: number;
  ty: number;
}

export function inverseOf({ a, b, c, d, tx, ty }: Affine): Affine {
  const det = a * d - b * c;
  const [ia, ib, ic, id] = [d / det, -b / det, -c / det, a / det];
  return { a: ia, b: ib, c: ic, d: id, tx: -(ia * tx + ib * ty), ty: -(ic * tx + id * ty) };
}

/** Whitened bins of one period: a bin without a mark has |value|² of mean 1. */
export type Folded = HalfSpectrum;

const MASK = PERIOD - 1;
const BIN_LIMIT = 6;
/**
 * Brings the picture into the canonical frame and adds up what is a period apart. Every picture pixel gives its value to
 * the four canonical pixels around it, or, where canonical pixels are the smaller ones, they take from it.
 */
export function fold(picture: Analysis, map: Affine & { g?: number; h?: number }): Folded {
  holdPixels(picture.pixels);
  native.clearFold();
  const { width, height } = picture;
  const { a, b, c, d, tx, ty, g = 0, h = 0 } = map;
  const isTilted = g !== 0 || h !== 0;
  if (!isTilted && Math.sqrt(Math.abs(a * d - b * c)) > SPREAD_SCALE) {
    const back = inverseOf(map);
    native.spread(width, height, back.a, back.b, back.c, back.d, back.tx, back.ty);
  } else {
    const corners = cornersOf({ a, b, c, d, tx, ty, g, h }, width, height);
    const xs = corners.map(([x]) => x);
    const ys = corners.map(([, y]) => y);
    const [left, right] = [Math.floor(Math.min(...xs)), Math.ceil(Math.max(...xs))];
    const [top, bottom] = [Math.floor(Math.min(...ys)), Math.ceil(Math.max(...ys))];
    if ((right - left) * (bottom - top) <= MAX_CANONICAL_PIXELS) {
      if (isTilted) native.gatherTilted(width, height, left, top, right, bottom, a, b, c, d, tx, ty, g, h);
      else native.gather(width, height, left, top, right, bottom, a, b, c, d, tx, ty);
    }
  }
  native.evenOut();
  forwardHeld(PERIOD);
  const folded = readHeld(halfSpectrum(PERIOD));
  evenOut(folded);
  return folded;
}

/** Picture pixels per canonical one from which on the picture's pixels are the smaller ones. */
const SPREAD_SCALE = 1.05;

/** Canonical positions of a picture's corners under a homography. */
function cornersOf(m: Affine & { g: number; h: number }, width: number, height: number): [number, number][] {
  return [0, width - 1, 0, width - 1].map((x, i) => {
    const y = i < 2 ? 0 : height - 1;
    // (a − g·x)·X + (b − h·x)·Y = x − tx, likewise for y
    const [p, q, r, s] = [m.a - m.g * x, m.b - m.h * x, m.c - m.g * y, m.d - m.h * y];
    const det = p * s - q * r;
    return [(s * (x - m.tx) - q * (y - m.ty)) / det, (p * (y - m.ty) - r * (x - m.tx)) / det];
  });
}

/** A map from the search can only blow a picture up so far. */
const MAX_CANONICAL_PIXELS = 16e6;

const RING_EDGES = [0, 16, 28, 40, 52, 64, 80, 96, 112, 138, 180];

/** Ring of every bin of the upper half, −1 beyond the last edge. */
const RING_OF = ((): Int8Array => {
  const rings = new Int8Array((RING_EDGES[RING_EDGES.length - 1] as number) * PERIOD).fill(-1);
  for (let v = 0, i = 0; v < rings.length / PERIOD; v++) {
    for (let u = 0; u < PERIOD; u++, i++) {
      const radius = Math.hypot(u < PERIOD / 2 ? u : u - PERIOD, v);
      rings[i] = RING_EDGES.findLastIndex(
        (edge, ring) => radius >= edge && ring < RING_EDGES.length - 1 && radius < 180,
      );
    }
  }
  return rings;
})();

/** Every ring's noise to 1, measured by its median (a mark hardly moves it), and outliers cut. Upper half only. */
function evenOut({ re, im }: HalfSpectrum): void {
  const rings = RING_EDGES.length - 1;
  const samples: number[][] = Array.from({ length: rings }, () => []);
  for (let i = 0; i < RING_OF.length; i += 5) {
    const ring = RING_OF[i] as number;
    if (ring >= 0) (samples[ring] as number[]).push((re[i] as number) ** 2 + (im[i] as number) ** 2);
  }
  // the median of an exponential distribution is its mean times ln 2
  const factor = samples.map((ring) => {
    const sorted = Float32Array.from(ring).sort();
    return 1 / Math.sqrt((sorted[sorted.length >> 1] as number) / Math.LN2 + 1e-9);
  });
  for (let i = 0; i < RING_OF.length; i++) {
    const ring = RING_OF[i] as number;
    if (ring < 0) continue;
    const scale = factor[ring] as number;
    const amplitude = Math.sqrt((re[i] as number) ** 2 + (im[i] as number) ** 2) * scale;
    const limited = amplitude > BIN_LIMIT ? (scale * BIN_LIMIT) / amplitude : scale;
    re[i] = (re[i] as number) * limited;
    im[i] = (im[i] as number) * limited;
  }
}

/** Where the pattern's origin lies in the folded square, and whether the picture stands on its head. */
export interface Placement {
  dx: number;
  dy: number;
  isTurned: boolean;
}

const binAt = (u: number, v: number): number => v * PERIOD + (u & MASK);

/** Real parts of the lines against their phases, each of variance ½ without a mark. */
export function lineEvidence(folded: Folded, sync: SyncPattern, { dx, dy, isTurned }: Placement): Float64Array {
  const values = new Float64Array(SYNC_LINES);
  for (let i = 0; i < SYNC_LINES; i++) {
    const [u, v] = [sync.u[i] as number, sync.v[i] as number];
    const at = binAt(u, v);
    const turn = (2 * Math.PI * (u * dx + v * dy)) / PERIOD - (sync.phase[i] as number);
    const im = isTurned ? -(folded.im[at] as number) : (folded.im[at] as number);
    values[i] = (folded.re[at] as number) * Math.cos(turn) - im * Math.sin(turn);
  }
  return values;
}

/** The folded lines as they are. */
export function linesOf(folded: Folded, sync: SyncPattern): { re: Float64Array; im: Float64Array } {
  const at = Array.from(sync.u, (u, i) => binAt(u, sync.v[i] as number));
  return {
    re: Float64Array.from(at, (bin) => folded.re[bin] as number),
    im: Float64Array.from(at, (bin) => folded.im[bin] as number),
  };
}

/** Symbols before the code: what the statistics are computed from. */
export interface Evidence {
  /** Σ sᵢyᵢ over the dims of every symbol. */
  symbols: Float32Array;
  /** Σ yᵢ² over all dims. */
  power: number;
  /** Σ wᵢ² over the dims of every symbol. */
  weights: Float32Array;
}

/** Weight of every radius, from how well the lines came through; never from the payload. */
function weightsFrom(sync: SyncPattern, lines: Float64Array): Float32Array {
  const radii = Array.from(sync.u, (u, i) => Math.hypot(u, sync.v[i] as number));
  const mean = lines.reduce((sum, value) => sum + value, 0) / SYNC_LINES;
  const isSeen = mean > 0.35;
  const weights = new Float32Array(MAX_RADIUS + 2);
  for (let r = MIN_RADIUS; r < weights.length; r++) {
    if (!isSeen) {
      // the lines are gone or faint: what photographs keep on the whole
      weights[r] = (r / MIN_RADIUS) ** -0.6 / (1 + (r / 90) ** 2);
      continue;
    }
    let [sum, total] = [0, 1e-9];
    for (let i = 0; i < SYNC_LINES; i++) {
      const near = Math.exp(-0.5 * ((r - (radii[i] as number)) / 18) ** 2);
      sum += near * (lines[i] as number);
      total += near;
    }
    weights[r] = Math.max(sum / total, 0.05 * mean);
  }
  return weights;
}

/** Reads every dim of a tenant's pattern at one placement. */
export function readSymbols(
  folded: Folded,
  sync: SyncPattern,
  payload: PayloadPattern,
  placement: Placement,
  lines = lineEvidence(folded, sync, placement),
): Evidence {
  const byRadius = weightsFrom(sync, lines);
  const symbols = new Float32Array(CODE_LENGTH);
  const weights = new Float32Array(CODE_LENGTH);
  let power = 0;
  const { dx, dy, isTurned } = placement;
  const step = (2 * Math.PI) / PERIOD;
  const isRotated = dx !== 0 || dy !== 0;
  const { u, v, symbol, sign } = payload;
  for (let bin = 0, dim = 0; bin < u.length; bin++, dim += 2) {
    const [bu, bv] = [u[bin] as number, v[bin] as number];
    const at = binAt(bu, bv);
    let re = folded.re[at] as number;
    let im = isTurned ? -(folded.im[at] as number) : (folded.im[at] as number);
    if (isRotated) {
      const turn = step * (bu * dx + bv * dy);
      const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
      [re, im] = [re * cos - im * sin, re * sin + im * cos];
    }
    const weight = byRadius[Math.round(Math.sqrt(bu * bu + bv * bv))] as number;
    re *= weight;
    im *= weight;
    power += re * re + im * im;
    const [a, b] = [symbol[dim] as number, symbol[dim + 1] as number];
    symbols[a] = (symbols[a] as number) + (sign[dim] as number) * re;
    symbols[b] = (symbols[b] as number) + (sign[dim + 1] as number) * im;
    weights[a] = (weights[a] as number) + weight * weight;
    weights[b] = (weights[b] as number) + weight * weight;
  }
  return { symbols, power, weights };
}
