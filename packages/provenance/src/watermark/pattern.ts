// What is hidden: one real pattern with a period of 512 canonical pixels, in bins of a ring of frequencies.
// A few keyed bins are lines that tell the geometry, all others carry the symbols of the id under keyed signs.
import { CODE_LENGTH } from './polar.ts';
import { keyDigest, keyedStream, type PayloadKey, type SyncKey } from './keys.ts';
import { halfSpectrum, inverseRealFft2 } from './fft.ts';

/** Canonical pixels after which the pattern repeats. */
export const PERIOD = 512;
/** Bins of the band lie at 20…136 cycles per period: 3.8 to 26 canonical pixels a cycle. */
export const MIN_RADIUS = 20;
export const MAX_RADIUS = 136;
export const SYNC_LINES = 40;
const MIN_SYNC_RADIUS = 32;
const MAX_SYNC_RADIUS = 116;
/** Between two lines, and between a line and the mirrored other: nearer ones would be taken for each other. */
const SYNC_SEPARATION = 13;
/** Payload keeps this far from a line, so that the lines can be seen. */
const SYNC_GUARD = 2;
/** Amplitude ∝ radius^−0.6: compression empties high frequencies, pictures fill low ones (docs/decisions/watermark-engine.md). */
const SPECTRUM_SLOPE = -0.6;
/** Of the power, in the lines. */
export const SYNC_SHARE = 0.45;

export interface SyncPattern {
  /** Cycles per period. */
  u: Int16Array;
  v: Int16Array;
  /** Radians. */
  phase: Float64Array;
  amplitude: Float32Array;
}

/** Bins in the half plane v > 0 or (v = 0 and u > 0); every bin carries two symbols, on its real and imaginary part. */
export interface PayloadPattern {
  u: Int16Array;
  v: Int16Array;
  amplitude: Float32Array;
  /** Two a bin: which of the 512 symbols. */
  symbol: Uint16Array;
  /** Two a bin: ±1. */
  sign: Int8Array;
}

/** Patterns are kept by worker threads: bounded, oldest out. A payload pattern takes 0.5 MB. */
const KEPT = 96;
const kept = new Map<string, SyncPattern | PayloadPattern>();

function remembered<Pattern extends SyncPattern | PayloadPattern>(name: string, make: () => Pattern): Pattern {
  const known = kept.get(name) as Pattern | undefined;
  const pattern = known ?? make();
  kept.delete(name);
  kept.set(name, pattern);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value as string);
  return pattern;
}

const amplitudeAt = (radius: number): number => (radius / MIN_RADIUS) ** SPECTRUM_SLOPE;

/** The lines of an installation. */
export function syncPattern(key: SyncKey): SyncPattern {
  return remembered(keyDigest(key.secret, `sync ${key.version}`), () => drawSync(key));
}

function drawSync({ secret, version }: SyncKey): SyncPattern {
  const stream = keyedStream(secret, `sync ${version}`);
  const lines: { u: number; v: number; phase: number }[] = [];
  while (lines.length < SYNC_LINES) {
    const u = stream.integer(2 * MAX_SYNC_RADIUS + 1) - MAX_SYNC_RADIUS;
    const v = stream.integer(MAX_SYNC_RADIUS + 1);
    const phase = (stream.integer(1 << 16) / (1 << 16)) * 2 * Math.PI;
    const radius = Math.hypot(u, v);
    if (radius < MIN_SYNC_RADIUS || radius > MAX_SYNC_RADIUS || (v === 0 && u < 0)) continue;
    // a quarter of the period would show when somebody folds at 128
    if (u % 4 === 0 && v % 4 === 0) continue;
    const isNear = (other: { u: number; v: number }): boolean =>
      Math.min(Math.hypot(u - other.u, v - other.v), Math.hypot(u + other.u, v + other.v)) < SYNC_SEPARATION;
    if (!lines.some(isNear)) lines.push({ u, v, phase });
  }
  return {
    u: Int16Array.from(lines, ({ u }) => u),
    v: Int16Array.from(lines, ({ v }) => v),
    phase: Float64Array.from(lines, ({ phase }) => phase),
    amplitude: Float32Array.from(lines, ({ u, v }) => amplitudeAt(Math.hypot(u, v))),
  };
}

/** How one tenant's symbols lie between the lines of an installation. */
export function payloadPattern(key: PayloadKey, syncKey: SyncKey): PayloadPattern {
  const name = `payload ${key.tenantId} ${key.version} ${keyDigest(syncKey.secret, `sync ${syncKey.version}`)}`;
  return remembered(keyDigest(key.secret, name), () => drawPayload(key, syncPattern(syncKey)));
}

function drawPayload({ secret, tenantId, version }: PayloadKey, sync: SyncPattern): PayloadPattern {
  const bins = payloadBins(sync);
  const count = 2 * bins.length;
  const stream = keyedStream(secret, `payload ${tenantId} ${version}`);
  const sign = stream.signs(count);
  const symbol = new Uint16Array(count);
  // bins come by radius: every 512 dims in a row hold each symbol once, so all symbols have the same power at all radii
  for (let start = 0; start < count; start += CODE_LENGTH) {
    const order = Uint16Array.from({ length: CODE_LENGTH }, (_, index) => index);
    for (let i = CODE_LENGTH - 1; i > 0; i--) {
      const j = stream.integer(i + 1);
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    symbol.set(order.subarray(0, Math.min(CODE_LENGTH, count - start)), start);
  }
  return {
    u: Int16Array.from(bins, ({ u }) => u),
    v: Int16Array.from(bins, ({ v }) => v),
    amplitude: Float32Array.from(bins, ({ radius }) => amplitudeAt(radius)),
    symbol,
    sign,
  };
}

function payloadBins(sync: SyncPattern): { u: number; v: number; radius: number }[] {
  const bins: { u: number; v: number; radius: number }[] = [];
  for (let v = 0; v <= MAX_RADIUS; v++) {
    for (let u = -MAX_RADIUS; u <= MAX_RADIUS; u++) {
      const radius = Math.hypot(u, v);
      if (radius < MIN_RADIUS || radius > MAX_RADIUS || (v === 0 && u <= 0)) continue;
      if (!isNearLine(sync, u, v)) bins.push({ u, v, radius });
    }
  }
  return bins.sort((a, b) => a.radius - b.radius || a.v - b.v || a.u - b.u);
}

function isNearLine(sync: SyncPattern, u: number, v: number): boolean {
  for (let i = 0; i < SYNC_LINES; i++) {
    const [lu, lv] = [sync.u[i] as number, sync.v[i] as number];
    if (Math.abs(u - lu) <= SYNC_GUARD && Math.abs(v - lv) <= SYNC_GUARD) return true;
    if (Math.abs(u + lu) <= SYNC_GUARD && Math.abs(v + lv) <= SYNC_GUARD) return true;
  }
  return false;
}

/**
 * The pattern of one codeword: 512×512 values in row order with RMS 1.
 * @param symbolGain factor of each symbol's amplitude; all 1 when it is left out
 */
export function renderPattern(
  sync: SyncPattern | null,
  payload: PayloadPattern,
  codeword: Int8Array,
  symbolGain?: Float32Array,
): Float32Array {
  const bins = halfSpectrum(PERIOD);
  const put = (u: number, v: number, re: number, im: number): void => {
    const at = v * PERIOD + (u & (PERIOD - 1));
    bins.re[at] = re;
    bins.im[at] = im;
    if (v > 0) return;
    // of the row v = 0 both halves are held
    bins.re[PERIOD - u] = re;
    bins.im[PERIOD - u] = -im;
  };
  let power = 0;
  for (let bin = 0, dim = 0; bin < payload.u.length; bin++, dim += 2) {
    const [a, b] = [payload.symbol[dim] as number, payload.symbol[dim + 1] as number];
    const amplitude = payload.amplitude[bin] as number;
    const re = amplitude * (codeword[a] as number) * (payload.sign[dim] as number) * (symbolGain?.[a] ?? 1);
    const im = amplitude * (codeword[b] as number) * (payload.sign[dim + 1] as number) * (symbolGain?.[b] ?? 1);
    put(payload.u[bin] as number, payload.v[bin] as number, re, im);
    power += re * re + im * im;
  }
  let linePower = 0;
  if (sync !== null) {
    for (const amplitude of sync.amplitude) linePower += amplitude * amplitude;
    const scale = Math.sqrt(((SYNC_SHARE / (1 - SYNC_SHARE)) * power) / linePower);
    for (let i = 0; i < SYNC_LINES; i++) {
      const amplitude = scale * (sync.amplitude[i] as number);
      const phase = sync.phase[i] as number;
      put(sync.u[i] as number, sync.v[i] as number, amplitude * Math.cos(phase), amplitude * Math.sin(phase));
    }
    power /= 1 - SYNC_SHARE;
  }
  // 2·Σ Re(c e^{iωx}) has the mean square 2·Σ|c|²
  const scale = (PERIOD * PERIOD) / Math.sqrt(2 * power);
  for (let i = 0; i < bins.re.length; i++) {
    bins.re[i] = (bins.re[i] as number) * scale;
    bins.im[i] = (bins.im[i] as number) * scale;
  }
  return inverseRealFft2(bins, PERIOD, PERIOD, new Float32Array(PERIOD * PERIOD));
}
