// All offsets of a part within the registered frame at once, by one Fourier correlation.
import type { Luma } from '../codec/codec.ts';
import { bandCoefficients, normalise, whiten } from './evidence.ts';
import { complexSquare, fourier, inverseFourier, type ComplexSquare } from './fft.ts';
import { BAND, blockCounts, forward, inverse, ORDERS, type FrameSize } from './transform.ts';

export interface CropOffset {
  /** Of the part's left upper corner in the canonical frame. */
  x: number;
  y: number;
  z: number;
  /** How many offsets were tried. */
  offsets: number;
}

const SIDE = 1024;

/**
 * The offset at which the part fits the keyed pattern best; null when the frame is larger than 1024 (panoramas) or the
 * part larger than the frame.
 *
 * The pattern is Σ sᵢφᵢ with orthonormal φᵢ, so for a part q at a fixed offset Σ⟨q, φᵢ⟩² ≤ ‖q‖²: dividing by ‖q‖ gives
 * a z that Hoeffding's bound holds for, a little on the safe side.
 */
export function searchCrop(part: Luma, frame: FrameSize, signs: Int8Array): CropOffset | null {
  const across = frame.width - part.width + 1;
  const down = frame.height - part.height + 1;
  if (Math.max(frame.width, frame.height) > SIDE || across < 1 || down < 1) return null;
  const whitened = whitenedPart(part);
  const norm = Math.sqrt(whitened.reduce((sum, value) => sum + value * value, 0));
  if (norm === 0) return null;
  const correlation = correlate(signPattern(frame, signs), frame, whitened, part);
  const best = { x: 0, y: 0, z: -Infinity, offsets: across * down };
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++) {
      const z = (correlation.re[y * SIDE + x] as number) / norm;
      if (z <= best.z) continue;
      best.z = z;
      best.x = x;
      best.y = y;
    }
  }
  return best;
}

/** The part, whitened as in the direct comparison but in pixels. */
function whitenedPart(part: Luma): Float32Array {
  const counts = blockCounts(part);
  const coefficients = bandCoefficients(forward(normalise(part), part), counts);
  whiten(coefficients, counts);
  return inverse(spread(coefficients, counts), part);
}

function signPattern(frame: FrameSize, signs: Int8Array): Float32Array {
  const counts = blockCounts(frame);
  return inverse(spread(Float32Array.from(signs), counts), frame);
}

/** Band coefficients block by block → the order that `inverse` reads. */
function spread(band: Float32Array, { across, down }: { across: number; down: number }): Float32Array {
  const all = new Float32Array(across * down * ORDERS * ORDERS);
  for (let by = 0, at = 0; by < down; by++) {
    for (let bx = 0; bx < across; bx++) {
      for (const { kx, ky } of BAND) all[((by * ORDERS + ky) * across + bx) * ORDERS + kx] = band[at++] as number;
    }
  }
  return all;
}

/** Σ pattern(p + offset)·part(p) for all offsets: both are real, so one transform carries them as real and imaginary. */
function correlate(pattern: Float32Array, frame: FrameSize, part: Float32Array, size: FrameSize): ComplexSquare {
  const square = complexSquare(SIDE);
  for (let y = 0; y < frame.height; y++) {
    square.re.set(pattern.subarray(y * frame.width, (y + 1) * frame.width), y * SIDE);
  }
  for (let y = 0; y < size.height; y++) {
    square.im.set(part.subarray(y * size.width, (y + 1) * size.width), y * SIDE);
  }
  fourier(square);
  const product = complexSquare(SIDE);
  // with Z = A + iB of real a, b: A = (Z(f) + Z*(−f))/2, B = (Z(f) − Z*(−f))/2i; the product is A·B*
  for (let v = 0; v < SIDE; v++) {
    const mirrorRow = ((SIDE - v) % SIDE) * SIDE;
    for (let u = 0; u < SIDE; u++) {
      const at = v * SIDE + u;
      const mirror = mirrorRow + ((SIDE - u) % SIDE);
      const [zr, zi] = [square.re[at] as number, square.im[at] as number];
      const [mr, mi] = [square.re[mirror] as number, -(square.im[mirror] as number)];
      const [ar, ai] = [(zr + mr) / 2, (zi + mi) / 2];
      const [br, bi] = [(zi - mi) / 2, -(zr - mr) / 2];
      product.re[at] = ar * br + ai * bi;
      product.im[at] = ai * br - ar * bi;
    }
  }
  inverseFourier(product);
  return product;
}
