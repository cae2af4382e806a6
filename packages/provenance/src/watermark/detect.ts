// Is the mark of one known photo in a picture? A keyed sign test: rigorous for any fixed picture, whatever it shows.
import { decodeLuma, type Luma } from '../codec/codec.ts';
import { keyedSigns } from './signs.ts';
import { evidence, type Evidence } from './evidence.ts';
import { searchCrop } from './crop.ts';
import { BAND, blockCounts, canonicalSize, type FrameSize } from './transform.ts';

export type WatermarkVerdict = 'DETECTED' | 'MARGINAL' | 'NOT_FOUND';

/** How the picture lies to the registered one, where the mark was found. */
export type Alignment = 'upright' | 'turned' | 'cropped';

export interface Detection {
  /**
   * Σ sᵢyᵢ / √Σ yᵢ², standard normal over the choice of the key when the mark is not there. It is that of the upright
   * comparison unless another alignment is at least MARGINAL: a maximum over alignments would not be standard normal.
   */
  z: number;
  /**
   * log₁₀ of an upper bound on the probability that a picture without the mark reaches this z, all attempts counted:
   * attempts × exp(−z²/2), by Hoeffding's inequality over the random signs. 0 when the bound says nothing.
   */
  log10p: number;
  verdict: WatermarkVerdict;
  alignment: Alignment;
  /** With `cropped`: the part of the registered picture that was found, as fractions of its width and height. */
  crop: { left: number; top: number; width: number; height: number } | null;
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
// Shares of the error, fixed beforehand, so that the bound holds for all attempts together (weighted Bonferroni):
// nine tenths for the eight orientations, one tenth for all offsets of a crop.
const ORIENTATION_ATTEMPTS = ORIENTATIONS.length / 0.9;
const CROP_ATTEMPTS_PER_OFFSET = 10;

/**
 * Tests a picture for the mark of one photo, upright and in the seven other orientations.
 * @param luma the picture brought to the canonical size of the registered photo, as `decodeLuma` does
 */
export function detectKnown(luma: Luma, photoKey: Uint8Array): Detection {
  const upright = detection(statistic(evidence(luma), photoKey), ORIENTATION_ATTEMPTS, 'upright');
  if (upright.verdict === 'DETECTED') return upright;
  let best = upright;
  for (const orientation of ORIENTATIONS.slice(1)) {
    const turned = detection(statistic(evidence(turn(luma, orientation)), photoKey), ORIENTATION_ATTEMPTS, 'turned');
    best = moreCertain(best, turned);
  }
  return best;
}

/**
 * Tests a whole file: `detectKnown` first, then every offset of a crop at the registered scale (cropped and shrunk at once
 * is not found). A crop costs about 0.3 s, and only where the file is smaller than the registered picture.
 * @param luma the file at the canonical size of the registered photo
 * @throws ImageError VALIDATION_FAILED when the pixels do not decode
 */
export async function detectInFile(
  bytes: Uint8Array,
  luma: Luma,
  received: FrameSize,
  registered: FrameSize,
  photoKey: Uint8Array,
): Promise<Detection> {
  const whole = detectKnown(luma, photoKey);
  const part = partSize(received, registered);
  if (whole.verdict === 'DETECTED' || part === null) return whole;
  return moreCertain(whole, detectCropped(await decodeLuma(bytes, part.width, part.height), luma, photoKey));
}

/** The size in the canonical frame of a file that may be a crop of the registered picture; null when it cannot be one. */
function partSize(received: FrameSize, registered: FrameSize): FrameSize | null {
  if (received.width > registered.width || received.height > registered.height) return null;
  if (received.width === registered.width && received.height === registered.height) return null;
  const scale = canonicalSize(registered).width / registered.width;
  const part = { width: Math.round(received.width * scale), height: Math.round(received.height * scale) };
  const { across, down } = blockCounts(part);
  return across * down > 0 ? part : null;
}

function detectCropped(part: Luma, frame: FrameSize, photoKey: Uint8Array): Detection | null {
  const { across, down } = blockCounts(frame);
  const found = searchCrop(part, frame, keyedSigns(photoKey, across * down * BAND.length));
  if (found === null) return null;
  return {
    ...detection(found.z, CROP_ATTEMPTS_PER_OFFSET * found.offsets, 'cropped'),
    crop: {
      left: found.x / frame.width,
      top: found.y / frame.height,
      width: part.width / frame.width,
      height: part.height / frame.height,
    },
  };
}

function detection(z: number, attempts: number, alignment: Alignment): Detection {
  const log10p = log10pOf(z, attempts);
  return { z, log10p, verdict: verdictOf(log10p), alignment, crop: null };
}

function moreCertain(one: Detection, other: Detection | null): Detection {
  return other !== null && other.verdict !== 'NOT_FOUND' && other.log10p < one.log10p ? other : one;
}

/** log₁₀ of the bound for one z of `attempts` (by default: the orientations), W. Hoeffding 1963, theorem 2. */
export function log10pOf(z: number, attempts = ORIENTATION_ATTEMPTS): number {
  if (!(z > 0)) return 0;
  return Math.min(0, Math.log10(attempts) - (z * z) / 2 / Math.LN10);
}

export function verdictOf(log10p: number): WatermarkVerdict {
  if (log10p <= DETECTED_LOG10P) return 'DETECTED';
  return log10p <= MARGINAL_LOG10P ? 'MARGINAL' : 'NOT_FOUND';
}

/** The statistic for one key; 0 for a picture without any evidence. */
export function statistic(found: Evidence, photoKey: Uint8Array): number {
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
