// Looks for marks in a picture: first where a picture lies that was only resized, then everywhere.
import type { Luma } from '../codec/codec.ts';
import { analyse, analyseBlock, type Analysis } from './analyse.ts';
import {
  fold,
  lineEvidence,
  linesOf,
  readSymbols,
  type Affine,
  type Evidence,
  type Folded,
  type Placement,
} from './fold.ts';
import { CANONICAL_LONG_SIDE, type FrameSize } from './frame.ts';
import type { PayloadKey, SyncKey } from './keys.ts';
import { payloadPattern, syncPattern, type SyncPattern } from './pattern.ts';
import { decodeId, encodeId, MAX_LIST } from './polar.ts';
import {
  agreement,
  place,
  refine,
  search,
  searchPlane,
  settle,
  settled,
  type Linear,
  type SearchArea,
  type SearchPlane,
  type Settled,
} from './search.ts';
import { track } from './track.ts';
import {
  blindZ,
  knownZ,
  log10pBlind,
  log10pKnown,
  MIN_BLIND_Z,
  verdictOf,
  type WatermarkVerdict,
} from './statistics.ts';

export interface DetectRequest {
  /** Newest first, at most MAX_SYNC_KEYS. */
  syncs: readonly SyncKey[];
  /** Tenants and versions whose ids are read blindly, at most MAX_PAYLOAD_KEYS. */
  payloads: readonly PayloadKey[];
  /** The photo that the picture is said to be, under each key that may have marked it. */
  known?: { id: bigint; payloads: readonly PayloadKey[] };
  /** The size of the picture itself, when `luma` is smaller; its aspect places the frame exactly. */
  received?: FrameSize;
  /** `fast` looks where a resized, turned, or mirrored picture lies, and for small changes of scale. */
  depth: 'fast' | 'full';
  /** Asked between steps; an exception ends the search. */
  onStep?: () => void;
}

export interface BlindFinding {
  id: bigint;
  tenantId: string;
  version: number;
  z: number;
  log10p: number;
}

export interface KnownFinding {
  /**
   * Standard normal over the key without the mark. It is that of the picture as it lies unless another hypothesis is at
   * least MARGINAL: a maximum over hypotheses would not be standard normal.
   */
  z: number;
  /** log₁₀ of an upper bound on the probability of this z without the mark, all attempts counted. */
  log10p: number;
  verdict: WatermarkVerdict;
}

export interface Detection {
  blind: BlindFinding | null;
  known: KnownFinding | null;
  /** Where the pattern lies: positions in `luma` from canonical ones. Null when nothing was found. */
  map: Affine | null;
  kind: 'upright' | 'turned' | 'moved' | null;
  /** Hypotheses whose symbols were read. */
  read: number;
  /** How many readings the bounds above are paid for. */
  attempts: number;
}

export const MAX_SYNC_KEYS = 3;
export const MAX_PAYLOAD_KEYS = 192;
/** Readings of one search are bounded, and all of them are paid for whether they took place or not. */
export const MAX_READINGS = 96;

/** For places that are not searched but known: standard normal by chance. */
const LINES_GATE = 3;
/** Lines that agree less than this are left alone. By chance the best of all places reaches 6.5. */
const PLACE_GATE = 6.8;

/** @throws RangeError for more keys than are paid for */
export function detect(luma: Luma, request: DetectRequest): Detection {
  if (request.syncs.length > MAX_SYNC_KEYS) throw new RangeError(`At most ${MAX_SYNC_KEYS} sync keys`);
  const keys = new Set([...request.payloads, ...(request.known?.payloads ?? [])]).size;
  if (keys > MAX_PAYLOAD_KEYS) throw new RangeError(`At most ${MAX_PAYLOAD_KEYS} payload keys`);
  const hunt = new Hunt(analyse(luma), request, Math.max(1, keys * request.syncs.length) * MAX_READINGS);
  for (const sync of request.syncs) if (hunt.asItLies(sync)) return hunt.answer();
  for (const sync of request.syncs) if (hunt.near(sync)) return hunt.answer();
  if (request.depth === 'fast') return hunt.answer();
  for (const sync of request.syncs) if (hunt.anywhere(sync)) return hunt.answer();
  return hunt.answer();
}

/** Turned by quarters and mirrored: canonical axes from the picture's. */
const ORIENTATIONS = [
  { a: 1, b: 0, c: 0, d: 1 },
  { a: -1, b: 0, c: 0, d: -1 },
  { a: 0, b: -1, c: 1, d: 0 },
  { a: 0, b: 1, c: -1, d: 0 },
  { a: -1, b: 0, c: 0, d: 1 },
  { a: 1, b: 0, c: 0, d: -1 },
  { a: 0, b: 1, c: 1, d: 0 },
  { a: 0, b: -1, c: -1, d: 0 },
] as const;

class Hunt {
  readonly picture: Analysis;
  readonly request: DetectRequest;
  readonly attempts: number;
  readonly planes = new Map<Analysis, SearchPlane>();
  blind: BlindFinding | null = null;
  known: KnownFinding | null = null;
  map: Affine | null = null;
  kind: Detection['kind'] = null;
  read = 0;
  /** Settled places of the whole picture that were not read or did not decode. */
  readonly best: { sync: SyncKey; settled: Settled }[] = [];
  readonly readBySync = new Map<SyncKey, number>();

  constructor(picture: Analysis, request: DetectRequest, attempts: number) {
    this.picture = picture;
    this.request = request;
    this.attempts = attempts;
  }

  answer(): Detection {
    const { blind, known, map, kind, read, attempts } = this;
    return { blind, known, map, kind, read, attempts };
  }

  /**
   * Only resized: the frame is the picture, its scale is known. Needs no lines, and so outlives their removal. Lines against
   * their phases are those of a negative, or of an estimate of the mark that was subtracted too strongly.
   */
  asItLies(sync: SyncKey): boolean {
    for (const scale of this.scales()) {
      for (const [i, orientation] of ORIENTATIONS.entries()) {
        const map = this.wholeMap(scale, orientation);
        const z = agreement(this.picture, syncPattern(sync), map);
        if (i === 0 && this.test(sync, map, 'upright', { isFirst: true })) return true;
        if (i > 0 && z > LINES_GATE && this.test(sync, map, 'turned')) return true;
        if (z < -LINES_GATE && this.test(sync, map, i === 0 ? 'upright' : 'turned', { isInverted: true })) return true;
      }
    }
    return false;
  }

  /** Canonical pixels per pixel of the luma: of an original of 1024 and more, or of one as small as this. */
  scales(): number[] {
    const { width, height } = this.picture;
    const scale = CANONICAL_LONG_SIDE / Math.max(width, height);
    return scale > 1.0005 ? [1, scale] : [scale];
  }

  wholeMap(scale: number, o: (typeof ORIENTATIONS)[number]): Affine {
    const { width, height } = this.picture;
    const received = this.request.received ?? this.picture;
    // the luma was stretched to whole pixels: its scales differ a little
    const long = Math.max(received.width, received.height);
    const unit = (scale * Math.max(width, height)) / long;
    const [sx, sy] = [(unit * received.width) / width, (unit * received.height) / height];
    const [px, py] = [1 / sx, 1 / sy];
    // the canonical frame's middle lies in the picture's middle, whichever way it is turned
    const isAcross = o.a === 0;
    const frame = isAcross ? { x: height * sy, y: width * sx } : { x: width * sx, y: height * sy };
    const [a, b, c, d] = [o.a * px, o.b * px, o.c * py, o.d * py];
    const [mx, my] = [frame.x / 2 - 0.5, frame.y / 2 - 0.5];
    return { a, b, c, d, tx: (width - 1) / 2 - a * mx - b * my, ty: (height - 1) / 2 - c * mx - d * my };
  }

  /** Upright and on its side, scaled by up to 15 % against a whole picture: a crop, a border, a small turn. */
  near(sync: SyncKey): boolean {
    const scale = 1 / (this.scales().at(-1) as number);
    const area = {
      minScale: scale * 0.86,
      maxScale: scale * 1.6,
      angle: 0,
      angleWidth: 0.13,
      mirrored: [false],
      aspects: [1],
    };
    return this.tryArea(sync, [area], 8, 3, 'moved');
  }

  anywhere(sync: SyncKey): boolean {
    const area = {
      minScale: 0.3,
      maxScale: 4,
      angle: Math.PI / 2,
      angleWidth: Math.PI,
      mirrored: [false, true],
      aspects: [1],
    };
    if (this.tryArea(sync, [area], 40, 6, 'moved')) return true;
    const aspects = [0.86, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98, 1.02, 1.04, 1.06, 1.08, 1.1, 1.12, 1.14];
    const stretched = [0, Math.PI / 2].map((angle) => ({
      minScale: 0.4,
      maxScale: 3,
      angle,
      angleWidth: 0.14,
      mirrored: [false],
      aspects,
    }));
    if (this.followed(sync)) return true;
    return this.tryArea(sync, stretched, 16, 4, 'moved');
  }

  /** From the best parts, block by block. */
  followed(sync: SyncKey): boolean {
    this.request.onStep?.();
    const pattern = syncPattern(sync);
    const { width, height } = this.picture;
    const anchors: { settled: Settled; x: number; y: number }[] = this.best
      .filter((one) => one.sync === sync)
      .map(({ settled }) => ({ settled, x: (width - 1) / 2, y: (height - 1) / 2 }));
    for (const { left, top } of this.parts()) {
      const part = analyseBlock(this.picture, left, top, PART);
      const area = {
        minScale: 0.4,
        maxScale: 3.2,
        angle: Math.PI / 2,
        angleWidth: Math.PI,
        mirrored: [false, true],
        aspects: [1],
      };
      const placed = search(searchPlane(part), pattern, PART, area, 10).map(({ map }) => place(part, pattern, map));
      placed.sort((one, other) => other.z - one.z);
      for (const one of placed.slice(0, 2)) {
        const local = settled(part, pattern, one);
        const map = { ...local.map, tx: local.map.tx + left, ty: local.map.ty + top };
        anchors.push({ settled: { map, z: local.z }, x: left + PART / 2, y: top + PART / 2 });
      }
    }
    anchors.sort((one, other) => other.settled.z - one.settled.z);
    for (const { settled: anchor, x, y } of anchors.slice(0, ANCHORS)) {
      if (anchor.z < ANCHOR_GATE) break;
      this.request.onStep?.();
      const map = track(this.picture, pattern, anchor, { x, y });
      if (map !== null && this.test(sync, map, 'moved')) return true;
    }
    return false;
  }

  /** Upper left corners of overlapping squares. */
  parts(): { left: number; top: number }[] {
    const { width, height } = this.picture;
    if (width < PART && height < PART) return [];
    const [x, y] = [Math.max(0, width - PART), Math.max(0, height - PART)];
    const corners = [
      { left: x >> 1, top: y >> 1 },
      { left: 0, top: 0 },
      { left: x, top: y },
      { left: x, top: 0 },
      { left: 0, top: y },
    ];
    return corners.filter((one, i) => corners.findIndex(({ left, top }) => left === one.left && top === one.top) === i);
  }

  tryArea(sync: SyncKey, areas: readonly SearchArea[], keep: number, readings: number, kind: 'moved'): boolean {
    this.request.onStep?.();
    const pattern = syncPattern(sync);
    let plane = this.planes.get(this.picture);
    if (plane === undefined) this.planes.set(this.picture, (plane = searchPlane(this.picture)));
    const { width, height } = this.picture;
    const candidates = areas
      .flatMap((area) => search(plane, pattern, Math.max(width, height), area, keep))
      .sort((one, other) => other.score - one.score);
    const refined = candidates.slice(0, REFINED).map(({ map }) => refine(this.picture, pattern, map));
    const placed = distinct([...candidates.map(({ map }) => map), ...refined]).map((map) =>
      place(this.picture, pattern, map),
    );
    placed.sort((one, other) => other.z - one.z);
    const settledOnes = placed.slice(0, SETTLED).map((one) => settled(this.picture, pattern, one));
    settledOnes.sort((one, other) => other.z - one.z);
    for (const one of settledOnes.slice(0, 2)) this.best.push({ sync, settled: one });
    for (const { map, z } of settledOnes.slice(0, readings)) {
      if (z < PLACE_GATE) break;
      this.request.onStep?.();
      if (this.test(sync, map, kind)) return true;
    }
    return false;
  }

  /** Reads all symbols under one hypothesis. True when the search can end. */
  test(
    syncKey: SyncKey,
    map: Affine & { g?: number; h?: number },
    kind: 'upright' | 'turned' | 'moved',
    { isFirst = false, isInverted = false } = {},
  ): boolean {
    const done = this.readBySync.get(syncKey) ?? 0;
    if (done >= MAX_READINGS) return false;
    this.readBySync.set(syncKey, done + 1);
    this.read++;
    const sync = syncPattern(syncKey);
    const folded = fold(this.picture, map);
    if (isInverted) negate(folded);
    const placement = isFirst ? { dx: 0, dy: 0, isTurned: false } : settlePlacement(folded, sync);
    const lines = lineEvidence(folded, sync, placement);
    const at = {
      ...map,
      tx: map.tx + map.a * placement.dx + map.b * placement.dy,
      ty: map.ty + map.c * placement.dx + map.d * placement.dy,
    };
    const { known } = this.request;
    for (const payload of known?.payloads ?? []) {
      const evidence = readSymbols(folded, sync, payloadPattern(payload, syncKey), placement, lines);
      this.noteKnown(knownZ(evidence, encodeId((known as { id: bigint }).id)), at, kind);
    }
    for (const payload of this.request.payloads) {
      const evidence = readSymbols(folded, sync, payloadPattern(payload, syncKey), placement, lines);
      this.noteBlind(evidence, payload, at, kind);
    }
    return this.isSettled();
  }

  isSettled(): boolean {
    const { known } = this.request;
    if (known === undefined) return this.blind !== null;
    // another photo's id is an answer too
    return this.known?.verdict === 'DETECTED' || (this.blind !== null && this.blind.id !== known.id);
  }

  noteKnown(z: number, map: Affine, kind: Detection['kind']): void {
    const log10p = log10pKnown(z, this.attempts);
    const finding = { z, log10p, verdict: verdictOf(log10p) };
    if (this.known === null || (finding.verdict !== 'NOT_FOUND' && log10p < this.known.log10p)) this.known = finding;
    if (finding.verdict !== 'DETECTED' || this.map !== null) return;
    this.map = map;
    this.kind = kind;
  }

  noteBlind(evidence: Evidence, { tenantId, version }: PayloadKey, map: Affine, kind: Detection['kind']): void {
    if (this.blind !== null) return;
    const ratios = ratiosOf(evidence);
    const decoded = decodeId(ratios, LIST) ?? (isPromising(evidence) ? decodeId(ratios, MAX_LIST) : null);
    if (decoded === null) return;
    const z = blindZ(evidence, decoded.codeword);
    const log10p = log10pBlind(z, this.attempts);
    if (z < MIN_BLIND_Z || verdictOf(log10p) !== 'DETECTED') return;
    this.blind = { id: decoded.id, tenantId, version, z, log10p };
    this.map = map;
    this.kind = kind;
  }
}

/** The last fraction of a pixel, from the phases of the folded lines. */
function settlePlacement(folded: Folded, sync: SyncPattern): Placement {
  const centre = { x: 0, y: 0 };
  settle(linesOf(folded, sync), sync, centre);
  // further away the phases are noise
  if (!(Math.hypot(centre.x, centre.y) < 3)) return { dx: 0, dy: 0, isTurned: false };
  return { dx: -centre.x, dy: -centre.y, isTurned: false };
}

const LIST = 32;
/** Of the best candidates, also where the peaks around them lie: a shear or a stretch is beyond the phases' reach. */
const REFINED = 8;
/** Side of a part that is searched by itself. */
const PART = 512;
/** Places from which neighbours are followed. */
const ANCHORS = 4;
const ANCHOR_GATE = 5.6;
/** Of the best places. */
const SETTLED = 16;

function negate({ re, im }: Folded): void {
  for (let i = 0; i < re.length; i++) {
    re[i] = -(re[i] as number);
    im[i] = -(im[i] as number);
  }
}

/** Stronger symbols than chance gives: worth a longer list. Σ accⱼ² / Σ yᵢ² is 1 ± 0.06 without a mark. */
function isPromising({ symbols, power }: Evidence): boolean {
  let sum = 0;
  for (const value of symbols) sum += value * value;
  return sum > 1.15 * power;
}

/** Log-likelihood ratios for symbols of one unknown strength under Gaussian noise. */
function ratiosOf({ symbols, weights }: Evidence): Float32Array {
  let [sum, energy] = [0, 1e-12];
  for (let j = 0; j < symbols.length; j++) {
    sum += Math.abs(symbols[j] as number);
    energy += weights[j] as number;
  }
  const amplitude = 0.5 * Math.max(sum / energy, 0.02);
  return Float32Array.from(symbols, (value) => 2 * amplitude * value);
}

function distinct(maps: readonly Linear[]): Linear[] {
  const kept: Linear[] = [];
  for (const map of maps) {
    const isSame = ({ a, b, c, d }: Linear): boolean =>
      Math.abs(a - map.a) + Math.abs(b - map.b) < 2e-3 && Math.abs(c - map.c) + Math.abs(d - map.d) < 2e-3;
    if (!kept.some(isSame)) kept.push(map);
  }
  return kept;
}
