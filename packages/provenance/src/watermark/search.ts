// Finds the geometry: keyed lines in the power spectrum tell scale, angle, mirror and shear; their phases tell the place.
// What is found here only ranks hypotheses. It is never evidence: a maximum over a search is not a p-value.
import { complexSquare, fft2 } from './fft.ts';
import { PERIOD, SYNC_LINES, type SyncPattern } from './pattern.ts';
import type { Analysis } from './analyse.ts';
import { inverseOf, type Affine } from './fold.ts';

/** Canonical frequency (cycles per period) → bin of the picture's spectrum: kx = a·u + b·v, ky = c·u + d·v. */
export interface Linear {
  a: number;
  b: number;
  c: number;
  d: number;
}

export interface Candidate {
  map: Linear;
  score: number;
}

export interface SearchArea {
  /** Picture pixels per canonical pixel. */
  minScale: number;
  maxScale: number;
  /** Radians, the middle of the range and its width; π covers all, since a spectrum looks the same upside down. */
  angle: number;
  angleWidth: number;
  mirrored: readonly boolean[];
  /** Width over height of the stretch. */
  aspects: readonly number[];
}

/** Power without its outliers, averaged over 3×3 bins, the mean of 1 taken off: what the search looks up. */
export interface SearchPlane {
  size: number;
  values: Float32Array;
  /** Not averaged, for a closer look. */
  sharp: Float32Array;
}

const POWER_LIMIT = 12;
/** A cell's side in the logarithm of scale and in radians, where a line at the rim lies at 232 of 1024 bins. */
const STEP = 0.004;

export function searchPlane({ power, spectrum: { size } }: Analysis): SearchPlane {
  const half = size >> 1;
  const along = new Float32Array(power.length);
  for (let k = 0; k <= half; k++) {
    const column = k * size;
    for (let j = 0; j < size; j++) {
      const before = Math.min(POWER_LIMIT, power[column + ((j - 1) & (size - 1))] as number);
      const after = Math.min(POWER_LIMIT, power[column + ((j + 1) & (size - 1))] as number);
      along[column + j] = before + after + Math.min(POWER_LIMIT, power[column + j] as number);
    }
  }
  const values = new Float32Array(power.length);
  for (let k = 0; k <= half; k++) {
    const [before, after] = [Math.max(0, k - 1) * size, Math.min(half, k + 1) * size];
    for (let j = 0, at = k * size; j < size; j++, at++) {
      values[at] = ((along[before + j] as number) + (along[at] as number) + (along[after + j] as number)) / 9 - 1;
    }
  }
  return { size, values, sharp: power };
}

/** The best cells of an area, nearby ones once, best first. */
export function search(
  plane: SearchPlane,
  sync: SyncPattern,
  longSide: number,
  area: SearchArea,
  keep: number,
): Candidate[] {
  const found: Cell[] = [];
  const pool = { cells: found, limit: Math.max(MIN_LOOKED_AT, 8 * keep), threshold: 0 };
  for (const isMirrored of area.mirrored) {
    for (const aspect of area.aspects) scan(plane, sync, longSide, area, isMirrored, aspect, pool);
  }
  prune(pool);
  const base = (STEP * 1_024) / longSide;
  for (let i = 0; i < found.length; i++) found[i] = closer(plane, sync, found[i] as Cell, base);
  found.sort((one, other) => other.score - one.score);
  const best: Cell[] = [];
  for (const cell of found) {
    if (best.length === keep) break;
    if (!best.some((other) => isNear(cell, other))) best.push(cell);
  }
  return best.map((cell) => ({ score: cell.score, map: linearOf(cell, plane.size) }));
}

interface Cell {
  score: number;
  logScale: number;
  angle: number;
  isMirrored: boolean;
  aspect: number;
}

function isNear(one: Cell, other: Cell): boolean {
  return (
    Math.abs(one.logScale - other.logScale) < 3 * STEP &&
    Math.abs(one.angle - other.angle) < 3 * STEP &&
    one.isMirrored === other.isMirrored &&
    Math.abs(one.aspect - other.aspect) < 0.03
  );
}

function linearOf({ logScale, angle, isMirrored, aspect }: Cell, size: number): Linear {
  const scale = (Math.exp(-logScale) * size) / PERIOD;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const x = Math.sqrt(aspect) * (isMirrored ? -1 : 1) * scale;
  const y = scale / Math.sqrt(aspect);
  return { a: cos * x, b: -sin * y, c: sin * x, d: cos * y };
}

/** Cells of the coarse scan that get a closer look. */
const MIN_LOOKED_AT = 160;
/** Shares of a coarse step; the coarse scan's mean over 3×3 bins cannot tell them apart. */
const CLOSER = [-0.5, -0.25, 0, 0.25, 0.5];

/** The best of the places around a cell, by the power between bins. */
function closer({ size, sharp }: SearchPlane, sync: SyncPattern, cell: Cell, base: number): Cell {
  const step = base * Math.max(1, Math.exp(cell.logScale));
  let best = { ...cell, score: -Infinity };
  const powerAt = (x: number, y: number): number => {
    const at = x < 0 ? -x * size + (-y & (size - 1)) : x * size + (y & (size - 1));
    return Math.min(POWER_LIMIT, sharp[at] as number);
  };
  for (const along of CLOSER) {
    for (const around of CLOSER) {
      const near = { ...cell, logScale: cell.logScale + along * step, angle: cell.angle + around * step };
      const score = linePower(powerAt, sync, linearOf(near, size), size);
      if (score > best.score) best = { ...near, score };
    }
  }
  return best;
}

interface Pool {
  cells: Cell[];
  limit: number;
  threshold: number;
}

function scan(
  { size, values }: SearchPlane,
  sync: SyncPattern,
  longSide: number,
  area: SearchArea,
  isMirrored: boolean,
  aspect: number,
  pool: Pool,
): void {
  const stretch = Math.sqrt(aspect);
  const radius = new Float64Array(SYNC_LINES);
  const direction = new Float64Array(SYNC_LINES);
  for (let i = 0; i < SYNC_LINES; i++) {
    const x = (sync.u[i] as number) * stretch * (isMirrored ? -1 : 1);
    const y = (sync.v[i] as number) / stretch;
    radius[i] = (Math.hypot(x, y) * size) / PERIOD;
    direction[i] = Math.atan2(y, x);
  }
  const base = (STEP * 1_024) / longSide;
  const start = area.angle - area.angleWidth / 2;
  const limit = size / 2 - 2;
  const wrap = size - 1;
  const scores = new Float32Array(Math.ceil(area.angleWidth / base) + 1);
  for (let logScale = Math.log(area.minScale), end = Math.log(area.maxScale); logScale <= end;) {
    const scale = Math.exp(logScale);
    const step = base * Math.max(1, scale);
    const angles = Math.max(1, Math.ceil(area.angleWidth / step));
    scores.fill(0, 0, angles);
    const [turnCos, turnSin] = [Math.cos(step), Math.sin(step)];
    let used = 0;
    for (let i = 0; i < SYNC_LINES; i++) {
      const r = (radius[i] as number) / scale;
      if (r > limit) continue;
      used++;
      let x = r * Math.cos((direction[i] as number) + start);
      let y = r * Math.sin((direction[i] as number) + start);
      for (let t = 0; t < angles; t++) {
        const at =
          x < 0
            ? ((0.5 - x) | 0) * size + ((size + 0.5 - y) & wrap)
            : ((x + 0.5) | 0) * size + ((size + y + 0.5) & wrap);
        scores[t] = (scores[t] as number) + (values[at] as number);
        const next = x * turnCos - y * turnSin;
        y = y * turnCos + x * turnSin;
        x = next;
      }
    }
    const share = 1 / Math.sqrt(Math.max(8, used));
    for (let t = 0; t < angles; t++) {
      const score = (scores[t] as number) * share;
      if (score <= pool.threshold) continue;
      pool.cells.push({ score, logScale, angle: start + t * step, isMirrored, aspect });
      if (pool.cells.length >= 2 * pool.limit) prune(pool);
    }
    logScale += step;
  }
}

function prune(pool: Pool): void {
  pool.cells.sort((one, other) => other.score - one.score);
  if (pool.cells.length <= pool.limit) return;
  pool.cells.length = pool.limit;
  pool.threshold = (pool.cells[pool.limit - 1] as Cell).score;
}

/** How far from a line's place its peak is looked for, in bins: first wide, then near. */
const REFINE_REACH = [3, 2, 2, 1];
const PEAK_FLOOR = 2.5;
const PEAK_LIMIT = 40;

/** Moves a candidate so that its lines lie on the peaks around them (weighted least squares, kept near where it was). */
export function refine({ power, spectrum: { size } }: Analysis, sync: SyncPattern, start: Linear): Candidate {
  const wrap = size - 1;
  const powerAt = (x: number, y: number): number => {
    const at = x < 0 ? -x * size + (-y & wrap) : x * size + (y & wrap);
    return Math.min(PEAK_LIMIT, power[at] ?? 0);
  };
  let map = start;
  for (const reach of REFINE_REACH) {
    let [uu, uv, vv, xu, xv, yu, yv, weights] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < SYNC_LINES; i++) {
      const [u, v] = [sync.u[i] as number, sync.v[i] as number];
      const x0 = Math.round(map.a * u + map.b * v);
      const y0 = Math.round(map.c * u + map.d * v);
      if (Math.abs(x0) > size / 2 - 6 || Math.abs(y0) > size / 2 - 6) continue;
      let [best, bx, by] = [0, 0, 0];
      for (let y = y0 - reach; y <= y0 + reach; y++) {
        for (let x = x0 - reach; x <= x0 + reach; x++) {
          const value = powerAt(x, y);
          if (value > best) [best, bx, by] = [value, x, y];
        }
      }
      const weight = best - PEAK_FLOOR;
      if (weight <= 0) continue;
      const [left, right] = [powerAt(bx - 1, by), powerAt(bx + 1, by)];
      const [above, below] = [powerAt(bx, by - 1), powerAt(bx, by + 1)];
      const x = bx + (right - left) / (best + left + right);
      const y = by + (below - above) / (best + above + below);
      uu += weight * u * u;
      uv += weight * u * v;
      vv += weight * v * v;
      xu += weight * x * u;
      xv += weight * x * v;
      yu += weight * y * u;
      yv += weight * y * v;
      weights++;
    }
    if (weights < 4) break;
    const ridge = 0.01 * (uu + vv);
    xu += ridge * map.a;
    xv += ridge * map.b;
    yu += ridge * map.c;
    yv += ridge * map.d;
    const [gu, gv] = [uu + ridge, vv + ridge];
    const det = gu * gv - uv * uv;
    map = {
      a: (xu * gv - xv * uv) / det,
      b: (xv * gu - xu * uv) / det,
      c: (yu * gv - yv * uv) / det,
      d: (yv * gu - yu * uv) / det,
    };
  }
  return { map, score: linePower(powerAt, sync, map, size) };
}

function linePower(powerAt: (x: number, y: number) => number, sync: SyncPattern, map: Linear, size: number): number {
  let [sum, used] = [0, 0];
  for (let i = 0; i < SYNC_LINES; i++) {
    const x = map.a * (sync.u[i] as number) + map.b * (sync.v[i] as number);
    const y = map.c * (sync.u[i] as number) + map.d * (sync.v[i] as number);
    if (Math.abs(x) > size / 2 - 3 || Math.abs(y) > size / 2 - 3) continue;
    const [x0, y0] = [Math.floor(x), Math.floor(y)];
    const [fx, fy] = [x - x0, y - y0];
    const upper = powerAt(x0, y0) * (1 - fx) + powerAt(x0 + 1, y0) * fx;
    const lower = powerAt(x0, y0 + 1) * (1 - fx) + powerAt(x0 + 1, y0 + 1) * fx;
    sum += upper * (1 - fy) + lower * fy - 1;
    used++;
  }
  return sum / Math.sqrt(Math.max(8, used));
}

/** A linear map with the canonical position of the picture's middle. */
export interface Placed {
  linear: Linear;
  centre: { x: number; y: number };
  /** Σ of the lines' real parts along their phases over its deviation; the maximum over places is about 4.5 by chance. */
  z: number;
}

export interface Settled {
  /** Positions in the picture from canonical ones. */
  map: Affine;
  /** As above, after the climb: about 5.5 by chance. */
  z: number;
}

const GRID = 256;
/** Canonical pixels between two places of the grid. */
const GRID_STEP = PERIOD / GRID;
const square = complexSquare(GRID);

/**
 * Where the pattern lies for a linear map: phases of the lines against all places of one period at once, both ways up.
 * @returns the best place, upright or turned by 180° (a spectrum cannot tell them apart)
 */
export function place(picture: Analysis, sync: SyncPattern, map: Linear): Placed {
  const lines = sampleLines(picture, sync, map);
  const { re, im } = square;
  re.fill(0);
  im.fill(0);
  const put = (u: number, v: number, r: number, i: number): void => {
    const at = (v & (GRID - 1)) * GRID + (u & (GRID - 1));
    re[at] = (re[at] as number) + r;
    im[at] = (im[at] as number) + i;
  };
  for (let i = 0; i < SYNC_LINES; i++) {
    const [u, v] = [sync.u[i] as number, sync.v[i] as number];
    const [r, q] = [lines.re[i] as number, lines.im[i] as number];
    const [cos, sin] = [Math.cos(sync.phase[i] as number), Math.sin(sync.phase[i] as number)];
    // upright g·e^{−iφ}, turned g*·e^{−iφ}: made Hermitian, both come out of one transform as real and imaginary part
    const [ar, ai] = [r * cos + q * sin, q * cos - r * sin];
    const [br, bi] = [r * cos - q * sin, -q * cos - r * sin];
    put(u, v, 0.5 * (ar - bi), 0.5 * (ai + br));
    put(-u, -v, 0.5 * (ar + bi), 0.5 * (-ai + br));
  }
  fft2(square);
  let [best, at, isTurned] = [-Infinity, 0, false];
  for (let i = 0; i < re.length; i++) {
    if ((re[i] as number) > best) [best, at, isTurned] = [re[i] as number, i, false];
    if ((im[i] as number) > best) [best, at, isTurned] = [im[i] as number, i, true];
  }
  const turned = isTurned ? { a: -map.a, b: -map.b, c: -map.c, d: -map.d } : map;
  const centre = { x: (at % GRID) * GRID_STEP, y: Math.floor(at / GRID) * GRID_STEP };
  return { linear: turned, centre, z: best / DEVIATION };
}

/** The same, moved to where it fits best. */
export function settled(picture: Analysis, sync: SyncPattern, { linear, centre }: Placed): Settled {
  const middle = { ...centre };
  const climbed = climb(picture, sync, linear, middle);
  return { map: affineOf(picture, climbed.map, middle), z: climbed.z };
}

/** Canonical pixels around a prediction in which a block's place is looked for. */
const FOLLOW_REACH = 6;

/** The map of a block near a predicted one. */
export function follow(block: Analysis, sync: SyncPattern, map: Affine): Settled {
  const linear = linearFrom(block, map);
  const lines = sampleLines(block, sync, linear);
  const back = inverseOf(map);
  const [mx, my] = [(block.width - 1) / 2, (block.height - 1) / 2];
  const predicted = { x: back.a * mx + back.b * my + back.tx, y: back.c * mx + back.d * my + back.ty };
  let [centre, z] = [predicted, -Infinity];
  for (let dy = -FOLLOW_REACH; dy <= FOLLOW_REACH; dy += 1.5) {
    for (let dx = -FOLLOW_REACH; dx <= FOLLOW_REACH; dx += 1.5) {
      const tried = { x: predicted.x + dx, y: predicted.y + dy };
      const value = alongPhases(lines, sync, tried);
      if (value > z) [centre, z] = [tried, value];
    }
  }
  const climbed = climb(block, sync, linear, centre);
  return { map: affineOf(block, climbed.map, centre), z: climbed.z };
}

/** The frequency map of a map of positions: its inverse transpose, in bins. */
function linearFrom({ spectrum: { size } }: Analysis, { a, b, c, d }: Affine): Linear {
  const unit = size / PERIOD / (a * d - b * c);
  return { a: unit * d, b: -unit * c, c: -unit * b, d: unit * a };
}

/** How well the phases of the lines agree with one whole map: standard normal without a mark. */
export function agreement(picture: Analysis, sync: SyncPattern, map: Affine): number {
  const linear = linearFrom(picture, map);
  const lines = sampleLines(picture, sync, linear);
  const back = inverseOf(map);
  const [mx, my] = [(picture.width - 1) / 2, (picture.height - 1) / 2];
  const centre = { x: back.a * mx + back.b * my + back.tx, y: back.c * mx + back.d * my + back.ty };
  return alongPhases(lines, sync, centre);
}

/** Moves the place between the grid's points: the lines' remaining phases are a plane over their frequencies. */
export function settle(lines: Lines, sync: SyncPattern, centre: { x: number; y: number }): void {
  for (let round = 0; round < 3; round++) {
    let [uu, uv, vv, pu, pv] = [1e-9, 0, 1e-9, 0, 0];
    for (let i = 0; i < SYNC_LINES; i++) {
      const [u, v] = [sync.u[i] as number, sync.v[i] as number];
      const turn = (2 * Math.PI * (u * centre.x + v * centre.y)) / PERIOD + (sync.phase[i] as number);
      const [r, q] = [lines.re[i] as number, lines.im[i] as number];
      const along = r * Math.cos(turn) + q * Math.sin(turn);
      const across = q * Math.cos(turn) - r * Math.sin(turn);
      const weight = Math.max(0, along);
      const angle = Math.atan2(across, along);
      if (Math.abs(angle) > 1.4) continue;
      uu += weight * u * u;
      uv += weight * u * v;
      vv += weight * v * v;
      pu += weight * angle * u;
      pv += weight * angle * v;
    }
    const det = uu * vv - uv * uv;
    const unit = PERIOD / (2 * Math.PI);
    centre.x += (unit * (pu * vv - pv * uv)) / det;
    centre.y += (unit * (pv * uu - pu * uv)) / det;
  }
}

/** x = M·(X − centre) + middle of the picture, M being the inverse transpose of the frequency map. */
function affineOf(
  { width, height, spectrum: { size } }: Analysis,
  f: Linear,
  centre: { x: number; y: number },
): Affine {
  const unit = size / PERIOD;
  const det = f.a * f.d - f.b * f.c;
  const [a, b, c, d] = [(unit * f.d) / det, (-unit * f.c) / det, (-unit * f.b) / det, (unit * f.a) / det];
  return {
    a,
    b,
    c,
    d,
    tx: (width - 1) / 2 - a * centre.x - b * centre.y,
    ty: (height - 1) / 2 - c * centre.x - d * centre.y,
  };
}

export interface Lines {
  re: Float64Array;
  im: Float64Array;
}

/** Taps on each side of the interpolation between bins; its error is 2 % of the power, enough to rank. */
const TAPS = 4;
const weightsX = new Float64Array(2 * TAPS);
const weightsY = new Float64Array(2 * TAPS);

/** Whitened bins at the lines' places between bins, phases relative to the middle of the picture. */
function sampleLines({ spectrum }: Analysis, sync: SyncPattern, map: Linear, lines = newLines()): Lines {
  const { size, re, im } = spectrum;
  const wrap = size - 1;
  const limit = size / 2 - TAPS - 1;
  for (let i = 0; i < SYNC_LINES; i++) {
    const fx = map.a * (sync.u[i] as number) + map.b * (sync.v[i] as number);
    const fy = map.c * (sync.u[i] as number) + map.d * (sync.v[i] as number);
    lines.re[i] = 0;
    lines.im[i] = 0;
    if (Math.abs(fx) > limit || Math.abs(fy) > limit) continue;
    const [x0, y0] = [Math.floor(fx) - TAPS + 1, Math.floor(fy) - TAPS + 1];
    sincWeights(fx - x0, weightsX);
    sincWeights(fy - y0, weightsY);
    let [sumRe, sumIm] = [0, 0];
    for (let y = y0; y < y0 + 2 * TAPS; y++) {
      let [rowRe, rowIm] = [0, 0];
      for (let t = 0; t < 2 * TAPS; t++) {
        const x = x0 + t;
        const at = x < 0 ? -x * size + (-y & wrap) : x * size + (y & wrap);
        const weight = weightsX[t] as number;
        rowRe += weight * (re[at] as number);
        rowIm += x < 0 ? -weight * (im[at] as number) : weight * (im[at] as number);
      }
      const weight = weightsY[y - y0] as number;
      sumRe += weight * rowRe;
      sumIm += weight * rowIm;
    }
    const amplitude = Math.sqrt(sumRe * sumRe + sumIm * sumIm);
    const share = amplitude > LINE_LIMIT ? LINE_LIMIT / amplitude : 1;
    lines.re[i] = sumRe * share;
    lines.im[i] = sumIm * share;
  }
  return lines;
}

/** No single line decides. */
const LINE_LIMIT = 3;
/** Deviation of a sum of the lines' real parts without a mark. */
const DEVIATION = Math.sqrt(SYNC_LINES / 2);

const newLines = (): Lines => ({ re: new Float64Array(SYNC_LINES), im: new Float64Array(SYNC_LINES) });

/** Steps of the climb, in bins at the outermost line, and of the middle in canonical pixels. */
const CLIMB = [0.4, 0.2, 0.1];
const OUTERMOST = 116;

/** Moves the linear map and the middle so that the phases agree best: up to half a bin, where `refine` sees no peaks. */
function climb(
  picture: Analysis,
  sync: SyncPattern,
  start: Linear,
  centre: { x: number; y: number },
): { map: Linear; z: number } {
  const lines = newLines();
  const value = (map: Linear): number => {
    sampleLines(picture, sync, map, lines);
    return alongPhases(lines, sync, centre);
  };
  let map = start;
  let best = value(map);
  for (const bins of CLIMB) {
    const step = bins / OUTERMOST;
    for (let round = 0; round < 4; round++) {
      const before = best;
      for (const [a, b, c, d] of directions(map)) {
        for (const sign of [step, -step]) {
          const moved = { a: map.a + sign * a, b: map.b + sign * b, c: map.c + sign * c, d: map.d + sign * d };
          const z = value(moved);
          if (z <= best) continue;
          [map, best] = [moved, z];
          break;
        }
      }
      sampleLines(picture, sync, map, lines);
      settle(lines, sync, centre);
      best = alongPhases(lines, sync, centre);
      if (best < before + 0.02) break;
    }
  }
  return { map, z: best };
}

/** Scale, turn, stretch and shear as changes of a map. */
function directions({ a, b, c, d }: Linear): readonly (readonly [number, number, number, number])[] {
  const size = Math.sqrt(Math.abs(a * d - b * c));
  const [p, q, r, s] = [a / size, b / size, c / size, d / size];
  return [
    [p, q, r, s],
    [-r, -s, p, q],
    [p, q, -r, -s],
    [r, s, p, q],
  ];
}

/** Σ of the lines' parts along their phases for a middle, over its deviation. */
function alongPhases(lines: Lines, sync: SyncPattern, centre: { x: number; y: number }): number {
  let sum = 0;
  for (let i = 0; i < SYNC_LINES; i++) {
    const turn =
      (2 * Math.PI * ((sync.u[i] as number) * centre.x + (sync.v[i] as number) * centre.y)) / PERIOD +
      (sync.phase[i] as number);
    sum += (lines.re[i] as number) * Math.cos(turn) + (lines.im[i] as number) * Math.sin(turn);
  }
  return sum / DEVIATION;
}

/** sin πt / πt at `at`, `at` − 1, …: one sine serves all, its sign alternates. */
function sincWeights(at: number, weights: Float64Array): void {
  let sine = Math.sin(Math.PI * at) / Math.PI;
  for (let t = 0; t < weights.length; t++, sine = -sine) {
    const distance = at - t;
    weights[t] = Math.abs(distance) < 1e-9 ? 1 : sine / distance;
  }
}
