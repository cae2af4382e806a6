// The null distribution of the known-photo test: many keys against pictures that none of them marked.
import type { Luma } from '../codec/codec.ts';
import { analyse } from './analyse.ts';
import { fold, lineEvidence, readSymbols, type Folded } from './fold.ts';
import { CANONICAL_LONG_SIDE } from './frame.ts';
import type { PayloadKey, SyncKey } from './keys.ts';
import { normality, type Normality } from './normality.fixture.ts';
import { payloadPattern, syncPattern } from './pattern.ts';
import { encodeId } from './polar.ts';
import { knownZ } from './statistics.ts';

export interface NullDistribution {
  /** All pairs of a picture and a key. */
  all: Normality;
  /** KS p over the keys of each picture, and over the pictures of each key; evenly spread when all is well. */
  pByPicture: number[];
  pByKey: number[];
  /** Least p of either kind times its number: below 0.001 something is wrong. */
  leastP: number;
  z: Float64Array[];
}

const UPRIGHT = { dx: 0, dy: 0, isTurned: false };

/** A picture as the detector reads it when it was only resized: 512×512 bins, 2 MB. */
export function foldedUpright(luma: Luma): Folded {
  const scale = Math.max(luma.width, luma.height) / CANONICAL_LONG_SIDE;
  const shift = (scale - 1) / 2;
  return fold(analyse(luma), { a: scale, b: 0, c: 0, d: scale, tx: shift, ty: shift });
}

/**
 * z of every picture under every key, as `detect` computes it for a known photo in its first reading. About 1 ms a pair
 * and 30 ms a key.
 * @throws RangeError for fewer than two pictures or keys
 */
export function nullOverKeys(
  pictures: readonly Folded[],
  sync: SyncKey,
  keys: readonly PayloadKey[],
  id: bigint,
): NullDistribution {
  if (pictures.length < 2 || keys.length < 2) throw new RangeError('A distribution takes two pictures and two keys');
  const lines = syncPattern(sync);
  const seen = pictures.map((picture) => lineEvidence(picture, lines, UPRIGHT));
  const codeword = encodeId(id);
  const z = pictures.map(() => new Float64Array(keys.length));
  for (const [k, key] of keys.entries()) {
    const payload = payloadPattern(key, sync);
    for (const [p, picture] of pictures.entries()) {
      (z[p] as Float64Array)[k] = knownZ(readSymbols(picture, lines, payload, UPRIGHT, seen[p]), codeword);
    }
  }
  const pByPicture = z.map((values) => normality([...values]).ksP);
  const pByKey = keys.map((_, k) => normality(z.map((values) => values[k] as number)).ksP);
  const leastP = Math.min(1, pByPicture.length * Math.min(...pByPicture), pByKey.length * Math.min(...pByKey));
  return { all: normality(z.flatMap((values) => [...values])), pByPicture, pByKey, leastP, z };
}
