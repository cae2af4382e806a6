// Is the mark of one known photo in a picture? A keyed sign test: rigorous for any fixed picture, whatever it shows.
import type { Luma } from '../codec/codec.ts';
import { keyedSigns } from './signs.ts';
import { BAND, blockCounts, boxMean, forward, ORDERS } from './transform.ts';

export type WatermarkVerdict = 'DETECTED' | 'MARGINAL' | 'NOT_FOUND';

export interface Detection {
  /** Σ sᵢyᵢ / √Σ yᵢ², standard normal over the choice of the key when the mark is not there. */
  z: number;
  /**
   * log₁₀ of an upper bound on the probability that a picture without the mark reaches this z, all attempts counted:
   * attempts × exp(−z²/2), by Hoeffding's inequality over the random signs. 0 when the bound says nothing.
   */
  log10p: number;
  verdict: WatermarkVerdict;
}

export const DETECTED_LOG10P = -9;
export const MARGINAL_LOG10P = -4;

/** The eight ways in which software turns or mirrors a picture when it applies an EXIF orientation; upright first. */
const ORIENTATIONS: readonly { transpose: boolean; flipX: boolean; flipY: boolean }[] = [
  { transpose: false, flipX: false, flipY: false },
  { transpose: false, flipX: true, flipY: true },
  { transpose: false, flipX: true, flipY: false },
  { transpose: false, flipX: false, flipY: true },
  { transpose: true, flipX: true, flipY: false },
  { transpose: true, flipX: false, flipY: true },
  { transpose: true, flipX: false, flipY: false },
  { transpose: true, flipX: true, flipY: true },
];
/** Every bound counts all of them, also when the first one already finds the mark. */
export const ATTEMPTS = ORIENTATIONS.length;

// local normalisation as in the prototype: mean over 11 px, deviation over 21 px, one grey level of floor
const MEAN_RADIUS = 5;
const DEVIATION_RADIUS = 10;
const DEVIATION_FLOOR = 1;
const CLIP = 2.5;

/**
 * Tests a picture for the mark of one photo.
 * @param luma the picture brought to the canonical size of the registered photo, as `decodeLuma` does
 */
export function detectKnown(luma: Luma, photoKey: Uint8Array): Detection {
  const upright = zOf(evidence(luma), photoKey, luma);
  let z = upright;
  if (verdictOf(log10pOf(upright)) !== 'DETECTED') {
    for (const orientation of ORIENTATIONS.slice(1)) {
      const turned = turn(luma, orientation);
      z = Math.max(z, zOf(evidence(turned), photoKey, turned));
    }
  }
  const log10p = log10pOf(z);
  return { z, log10p, verdict: verdictOf(log10p) };
}

/** The bound for the largest z of all attempts. */
export function log10pOf(z: number): number {
  if (!(z > 0)) return 0;
  return Math.min(0, Math.log10(ATTEMPTS) - (z * z) / 2 / Math.LN10);
}

export function verdictOf(log10p: number): WatermarkVerdict {
  if (log10p <= DETECTED_LOG10P) return 'DETECTED';
  return log10p <= MARGINAL_LOG10P ? 'MARGINAL' : 'NOT_FOUND';
}

/** Whitened coefficients of the band, block by block in the order of the signs. */
export function evidence(luma: Luma): Float32Array {
  const coefficients = forward(normalised(luma), luma);
  const { across, down } = blockCounts(luma);
  const found = new Float32Array(across * down * BAND.length);
  for (const [entry, { kx, ky }] of BAND.entries()) {
    // one order over all blocks: scaled to its own RMS, so that no order speaks louder than its noise
    let power = 0;
    for (let by = 0; by < down; by++) {
      for (let bx = 0; bx < across; bx++) {
        const value = coefficients[((by * ORDERS + ky) * across + bx) * ORDERS + kx] as number;
        power += value * value;
      }
    }
    const scale = 1 / (Math.sqrt(power / Math.max(1, across * down)) + 1e-9);
    for (let by = 0; by < down; by++) {
      for (let bx = 0; bx < across; bx++) {
        const value = (coefficients[((by * ORDERS + ky) * across + bx) * ORDERS + kx] as number) * scale;
        found[(by * across + bx) * BAND.length + entry] = value > CLIP ? CLIP : value < -CLIP ? -CLIP : value;
      }
    }
  }
  return found;
}

/** The statistic for one key; 0 for a picture without any evidence. */
export function statistic(found: Float32Array, photoKey: Uint8Array): number {
  const signs = keyedSigns(photoKey, found.length);
  let sum = 0;
  let power = 0;
  for (let i = 0; i < found.length; i++) {
    const value = found[i] as number;
    sum += value * (signs[i] as number);
    power += value * value;
  }
  return power === 0 ? 0 : sum / Math.sqrt(power);
}

function zOf(found: Float32Array, photoKey: Uint8Array, luma: Luma): number {
  const { across, down } = blockCounts(luma);
  return across * down === 0 ? 0 : statistic(found, photoKey);
}

/** Each pixel less its neighbourhood's mean, over its neighbourhood's deviation, clipped. */
function normalised(luma: Luma): Float32Array {
  const mean = boxMean(luma.data, luma, MEAN_RADIUS);
  const rest = new Float32Array(luma.data.length);
  const squares = new Float32Array(luma.data.length);
  for (let i = 0; i < rest.length; i++) {
    const value = (luma.data[i] as number) - (mean[i] as number);
    rest[i] = value;
    squares[i] = value * value;
  }
  const variance = boxMean(squares, luma, DEVIATION_RADIUS);
  for (let i = 0; i < rest.length; i++) {
    const value = (rest[i] as number) / (Math.sqrt(Math.max(0, variance[i] as number)) + DEVIATION_FLOOR);
    rest[i] = value > CLIP ? CLIP : value < -CLIP ? -CLIP : value;
  }
  return rest;
}

function turn(luma: Luma, { transpose, flipX, flipY }: (typeof ORIENTATIONS)[number]): Luma {
  const { width, height, data } = luma;
  const size = { width, height };
  const turned = new Float32Array(data.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      // The frame keeps its size: a transposed picture was stretched into it when it was decoded.
      const u = transpose ? Math.min(width - 1, Math.floor(((y + 0.5) * width) / height)) : x;
      const v = transpose ? Math.min(height - 1, Math.floor(((x + 0.5) * height) / width)) : y;
      const sx = flipX ? width - 1 - u : u;
      const sy = flipY ? height - 1 - v : v;
      turned[i] = data[sy * width + sx] as number;
    }
  }
  return { ...size, data: turned };
}
