// The closed loop: mark as gently as the picture allows and as strongly as it needs, and say so when it cannot be done.
import { decodeLuma, encodeLumaJpeg, encodeLumaWebp, type Luma, type Pixels } from '../codec/codec.ts';
import { ImageError, type ImageFormat } from '../image.ts';
import { statistic } from './detect.ts';
import { addDelta, canonicalLuma, markDelta } from './embed.ts';
import { evidence } from './evidence.ts';

// Measured by watermark.bench.ts: nearly every photograph passes with the first; flat graphics need the later ones, since
// a quantiser swallows a faint pattern whole and lets a slightly stronger one pass.
const GAINS = [0.8, 1.1, 1.5, 2, 2.6] as const;

/** The journey that the mark must survive before the picture is given out, and with what margin above 6.8. */
const JOURNEY_JPEG_QUALITY = 50;
const NEEDED_Z = 10;
// WebP smooths what JPEG keeps: its own loss comes first, and a milder JPEG after it
const JOURNEY_JPEG_QUALITY_AFTER_WEBP = 75;

export interface Marked {
  gain: number;
  /** Of the known-photo test after the simulated journey. */
  journeyZ: number;
}

export interface MarkOptions {
  /** What the pixels will be encoded as: lossy WebP counts in the journey. */
  format: ImageFormat;
  lossless: boolean;
}

/**
 * Marks `pixels` in place with the smallest gain whose mark survives the journey at canonical size: a JPEG of quality 50,
 * or the loss of WebP and then a JPEG of quality 75.
 * @throws ImageError VALIDATION_FAILED when no bearable gain does; `pixels` are then unchanged
 */
export async function markPixels(
  pixels: Pixels,
  photoKey: Uint8Array,
  options: MarkOptions = { format: 'jpeg', lossless: false },
): Promise<Marked> {
  const luma = canonicalLuma(pixels);
  const delta = markDelta(luma, photoKey);
  const isLossyWebp = options.format === 'webp' && !options.lossless;
  for (const gain of GAINS) {
    const arrived = await (isLossyWebp ? afterWebp : afterJpeg)(withMark(luma, delta, gain));
    const journeyZ = statistic(evidence(arrived), photoKey);
    if (journeyZ < NEEDED_Z) continue;
    addDelta(pixels, delta, gain);
    return { gain, journeyZ };
  }
  throw new ImageError(
    'VALIDATION_FAILED',
    'The picture cannot carry a watermark: our own check does not find the mark.',
  );
}

function withMark(luma: Luma, delta: Float32Array, gain: number): Luma {
  const data = new Float32Array(luma.data.length);
  for (let i = 0; i < data.length; i++) data[i] = (luma.data[i] as number) + gain * (delta[i] as number);
  return { ...luma, data };
}

async function afterJpeg(luma: Luma, quality = JOURNEY_JPEG_QUALITY): Promise<Luma> {
  return decodeLuma(await encodeLumaJpeg(luma, quality), luma.width, luma.height);
}

async function afterWebp(luma: Luma): Promise<Luma> {
  const stored = await decodeLuma(await encodeLumaWebp(luma), luma.width, luma.height);
  return afterJpeg(stored, JOURNEY_JPEG_QUALITY_AFTER_WEBP);
}
