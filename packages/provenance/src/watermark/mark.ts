// The closed loop: mark as gently as the picture allows and as strongly as it needs, and say so when it cannot be done.
import { decodeLuma, encodeLumaJpeg, type Luma, type Pixels } from '../codec/codec.ts';
import { ImageError } from '../image.ts';
import { detectKnown } from './detect.ts';
import { canonicalLuma, embed, markDelta } from './embed.ts';

// On the committed photographs gain 0.5 gives 47 to 54 dB and z from 22 upwards after 1080 px and JPEG 75.
const FIRST_GAIN = 0.5;
const MAX_GAIN = 2;
const MAX_TRIES = 4;
/** The journey that the mark must survive before the picture is given out, and with what margin above 6.8. */
const JOURNEY_JPEG_QUALITY = 50;
const NEEDED_Z = 12;

export interface Marked {
  gain: number;
  /** Of the known-photo test after the simulated journey. */
  journeyZ: number;
}

/**
 * Marks `pixels` in place with the smallest gain whose mark survives a JPEG of quality 50 at canonical size.
 * @throws ImageError VALIDATION_FAILED when no bearable gain does; `pixels` are then unchanged
 */
export async function markPixels(pixels: Pixels, photoKey: Uint8Array): Promise<Marked> {
  const luma = canonicalLuma(pixels);
  const delta = markDelta(luma, photoKey);
  let gain = FIRST_GAIN;
  for (let attempt = 0; attempt < MAX_TRIES && gain <= MAX_GAIN; attempt++) {
    const journeyZ = await afterJourney(luma, delta, gain, photoKey);
    if (journeyZ >= NEEDED_Z) {
      embed(pixels, photoKey, gain);
      return { gain, journeyZ };
    }
    // z grows a little faster than the gain; at least a fifth more each time
    gain *= Math.max(1.2, Math.min(2, NEEDED_Z / Math.max(journeyZ, 1)));
  }
  throw new ImageError(
    'VALIDATION_FAILED',
    'The picture cannot carry a watermark: our own check does not find the mark.',
  );
}

async function afterJourney(luma: Luma, delta: Float32Array, gain: number, photoKey: Uint8Array): Promise<number> {
  const data = new Float32Array(luma.data.length);
  for (let i = 0; i < data.length; i++) data[i] = (luma.data[i] as number) + gain * (delta[i] as number);
  const jpeg = await encodeLumaJpeg({ ...luma, data }, JOURNEY_JPEG_QUALITY);
  return detectKnown(await decodeLuma(jpeg, luma.width, luma.height), photoKey).z;
}
