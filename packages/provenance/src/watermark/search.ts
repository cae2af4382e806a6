// Finds the geometry: keyed lines in the power spectrum tell scale, angle, mirror and shear; their phases tell the place.
// What is found here only ranks hypotheses. It is never evidence: a maximum over a search is not a p-value.
import { complexSquare, fft2, holdBins } from './fft.ts';
import { addressOf, floats, native, words } from './native.ts';
import { PERIOD, SYNC_LINES, type SyncPattern } from './pattern.ts';
import type { Whitened } from './analyse.ts';
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
  /** Without its outliers and not averaged, for a closer look. */
  sharp: Float32Array;
}

const POWER_LIMIT = 12;
/** A cell's side in the logarithm of scale and in radians, where a line at the rim lies at 232 of 1024 bins. */
const STEP = 0.004;

export function searchPlane({ power, spectrum: { size } }: Whitened): SearchPlane {
  const half = size >> 1;
  const along = new Float32Array(power.length);
  for (let k = 0; k <= half; k++) {
    const row = k * size;
    for (let j = 0; j < size; j++) {
      const before = Math.min(POWER_LIMIT, power[row + ((j - 1) & (size - 1))] as number);
      const after = Math.min(POWER_LIMIT, power[row + ((j + 1) & (size - 1))] as number);
      along[row + j] = before + after + Math.min(POWER_LIMIT, power[row + j] as number);
    }
  }
  const values = new Float32Array(power.length);
  for (let k = 0; k <= half; k++) {
    const [before, after] = [Math.max(0, k - 1) * size, Math.min(half, k + 1) * size];
    for (let j = 0, at = k * size; j < size; j++, at++) {
      values[at] = ((along[before + j] as number) + (along[at] as number) + (along[after + j] as number)) / 9 - 1;
    }
  }
  return { size, values, sharp: power.map((value) => Math.min(POWER_LIMIT, value)) };
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
  const polar = holdPolar(plane, longSide);
  for (const isMirrored of area.mirrored) {
    for (const aspect of area.aspects) scan(plane.size, polar, sync, area, isMirrored, aspect, pool);
  }
  prune(pool);
  holdLines(sync);
  holdPower(plane.sharp);
  for (let i = 0; i < found.length; i++) found[i] = closer(plane.size, found[i] as Cell, polar.step);
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
function closer(size: number, cell: Cell, base: number): Cell {
  const step = base * Math.max(1, Math.exp(cell.logScale));
  let best = { ...cell, score: -Infinity };
  for (const along of CLOSER) {
    for (const around of CLOSER) {
      const near = { ...cell, logScale: cell.logScale + along * step, angle: cell.angle + around * step };
      const { a, b, c, d } = linearOf(near, size);
      const score = native.linePower(size, SYNC_LINES, a, b, c, d);
      if (score > best.score) best = { ...near, score };
    }
  }
  return best;
}

/** What lies in the module's memory; put there when another one is asked for. */
const held: { lines: SyncPattern | null; polar: SearchPlane | null; power: Float32Array | null } = {
  lines: null,
  polar: null,
  power: null,
};

const [LINE_U, LINE_V] = [addressOf('LINE_U') >> 2, addressOf('LINE_V') >> 2];
const POWER = addressOf('POWER') >> 2;

function holdLines(sync: SyncPattern): void {
  if (held.lines === sync) return;
  floats.set(sync.u, LINE_U);
  floats.set(sync.v, LINE_V);
  held.lines = sync;
}

function holdPower(values: Float32Array): void {
  if (held.power === values) return;
  floats.set(values, POWER);
  held.power = values;
}

interface Pool {
  cells: Cell[];
  limit: number;
  threshold: number;
}

/** A plane by angle (0…π) and logarithm of radius: a change of scale or angle then moves every line alike. */
interface Polar {
  /** Cells in π, and values a row, which holds every angle twice. */
  angles: number;
  stride: number;
  rows: number;
  /** Radians, and steps of the logarithm of radius. */
  step: number;
}

/** Bins; a line of the least radius at the largest scale lies just beyond. */
const MIN_POLAR_RADIUS = 8;
const STARTS = addressOf('STARTS') >> 2;
const scores = floats.subarray(addressOf('SCORES') >> 2, addressOf('COSINES') >> 2);

function holdPolar(plane: SearchPlane, longSide: number): Polar {
  const { size, values } = plane;
  const angles = Math.ceil((Math.PI * longSide) / (STEP * 1_024));
  const step = Math.PI / angles;
  const rows = Math.floor(Math.log((size / 2 - 2) / MIN_POLAR_RADIUS) / step) + 1;
  const stride = 2 * angles + 16;
  if (held.polar === plane) return { angles, stride, rows, step };
  holdPower(values);
  const [cosines, sines, radii] = [addressOf('COSINES') >> 2, addressOf('SINES') >> 2, addressOf('RADII') >> 2];
  for (let t = 0; t < angles; t++) {
    floats[cosines + t] = Math.cos(t * step);
    floats[sines + t] = Math.sin(t * step);
  }
  for (let row = 0; row < rows; row++) floats[radii + row] = MIN_POLAR_RADIUS * Math.exp(row * step);
  native.toPolar(size, rows, angles, stride);
  held.polar = plane;
  return { angles, stride, rows, step };
}

function scan(
  size: number,
  { angles, stride, rows, step }: Polar,
  sync: SyncPattern,
  area: SearchArea,
  isMirrored: boolean,
  aspect: number,
  pool: Pool,
): void {
  const stretch = Math.sqrt(aspect);
  const row = new Float64Array(SYNC_LINES);
  const column = new Int32Array(SYNC_LINES);
  const start = Math.round((area.angle - area.angleWidth / 2) / step);
  for (let i = 0; i < SYNC_LINES; i++) {
    const x = (sync.u[i] as number) * stretch * (isMirrored ? -1 : 1);
    const y = (sync.v[i] as number) / stretch;
    row[i] = Math.log((Math.hypot(x, y) * size) / PERIOD / MIN_POLAR_RADIUS) / step;
    column[i] = (((Math.round(Math.atan2(y, x) / step) + start) % angles) + angles) % angles;
  }
  const looked = Math.min(angles, Math.ceil(area.angleWidth / step) + 1);
  for (let logScale = Math.log(area.minScale), end = Math.log(area.maxScale); logScale <= end;) {
    let used = 0;
    for (let i = 0; i < SYNC_LINES; i++) {
      const at = Math.round((row[i] as number) - logScale / step);
      if (at < 0 || at >= rows) continue;
      words[STARTS + used++] = at * stride + (column[i] as number);
    }
    native.scanRow(used, looked);
    const share = 1 / Math.sqrt(Math.max(8, used));
    // where the picture was enlarged its lines lie closer together, and so may the cells lie further apart
    const skip = Math.max(1, Math.floor(Math.exp(logScale)));
    for (let t = 0; t < looked; t += skip) {
      const score = (scores[t] as number) * share;
      if (score <= pool.threshold) continue;
      pool.cells.push({ score, logScale, angle: (start + t) * step, isMirrored, aspect });
      if (pool.cells.length >= 2 * pool.limit) prune(pool);
    }
    logScale += step * skip;
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
export function refine({ power, spectrum: { size } }: Whitened, sync: SyncPattern, start: Linear): Linear {
  const wrap = size - 1;
  const powerAt = (x: number, y: number): number => {
    const at = y < 0 ? -y * size + (-x & wrap) : y * size + (x & wrap);
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
  return map;
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
export function place(picture: Whitened, sync: SyncPattern, map: Linear): Placed {
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
export function settled(picture: Whitened, sync: SyncPattern, { linear, centre }: Placed): Settled {
  const middle = { ...centre };
  const climbed = climb(picture, sync, linear, middle);
  return { map: affineOf(picture, climbed.map, middle), z: climbed.z };
}

/** Canonical pixels around a prediction in which a block's place is looked for. */
const FOLLOW_REACH = 6;

/** The map of a block near a predicted one. */
export function follow(block: Whitened, sync: SyncPattern, map: Affine): Settled {
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
function linearFrom({ spectrum: { size } }: Whitened, { a, b, c, d }: Affine): Linear {
  const unit = size / PERIOD / (a * d - b * c);
  return { a: unit * d, b: -unit * c, c: -unit * b, d: unit * a };
}

/** How well the phases of the lines agree with one whole map: standard normal without a mark. */
export function agreement(picture: Whitened, sync: SyncPattern, map: Affine): number {
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
  { width, height, spectrum: { size } }: Whitened,
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

/** Whitened bins at the lines' places between bins, phases relative to the middle of the picture. Valid until the next call. */
function sampleLines(picture: Whitened, sync: SyncPattern, { a, b, c, d }: Linear): Lines {
  holdLines(sync);
  holdBins(picture.spectrum);
  native.sampleLines(picture.spectrum.size, SYNC_LINES, a, b, c, d, LINE_LIMIT);
  return sampled;
}

const sampled: Lines = {
  re: new Float64Array(native.memory.buffer, addressOf('READ_RE'), SYNC_LINES),
  im: new Float64Array(native.memory.buffer, addressOf('READ_IM'), SYNC_LINES),
};
/** No single line decides. */
const LINE_LIMIT = 3;
/** Deviation of a sum of the lines' real parts without a mark. */
const DEVIATION = Math.sqrt(SYNC_LINES / 2);

/** Steps of the climb, in bins at the outermost line, and of the middle in canonical pixels. */
const CLIMB = [0.4, 0.2, 0.1];
const OUTERMOST = 116;

/** Moves the linear map and the middle so that the phases agree best: up to half a bin, where `refine` sees no peaks. */
function climb(
  picture: Whitened,
  sync: SyncPattern,
  start: Linear,
  centre: { x: number; y: number },
): { map: Linear; z: number } {
  const value = (map: Linear): number => alongPhases(sampleLines(picture, sync, map), sync, centre);
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
      const lines = sampleLines(picture, sync, map);
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
