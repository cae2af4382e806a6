// The closed loop: our own detector looks at the mark after a simulated journey, symbol by symbol, and power goes where the
// picture itself works against a symbol. Then the whole mark becomes as strong as it must be, and no stronger.
import {
  decodeGrey,
  decodeLuma,
  encodeGreyJpeg,
  encodeGreyWebp,
  type GreyBytes,
  type Luma,
  type Pixels,
} from '../codec/codec.ts';
import { release } from '../release.ts';
import { ImageError, type ImageFormat } from '../image.ts';
import { analyse } from './analyse.ts';
import { fold, lineEvidence, readSymbols, type Evidence } from './fold.ts';
import { MIN_LONG_SIDE, MIN_SHORT_SIDE } from './frame.ts';
import type { PayloadKey, SyncKey } from './keys.ts';
import { visibilityMask } from './mask.ts';
import { PERIOD, payloadPattern, renderPattern, syncPattern } from './pattern.ts';
import { addDelta, canonicalLuma } from './place.ts';
import { CODE_LENGTH, decodeId, encodeId } from './polar.ts';
import { blindZ } from './statistics.ts';

export interface MarkKeys {
  sync: SyncKey;
  payload: PayloadKey;
}

export interface MarkOptions {
  /** What the pixels will be encoded as: lossy WebP counts in the journey. */
  format: ImageFormat;
  lossless: boolean;
  /** Factor on the visibility mask, 0.5…2; 1 is not seen. */
  strength?: number;
}

export interface Marked {
  /** Factor on the visibility mask that was needed. */
  gain: number;
  /** z′ of our own id after the simulated journey. */
  journeyZ: number;
  /** Of the pixels before they are encoded, dB. */
  psnrDb: number;
}

/** Tried in turn until the journey's z′ is large enough: flat graphics need the later ones, since a quantiser swallows a faint pattern whole. */
const GAINS = [1, 1.25, 1.6, 2, 2.6] as const;
/** A small picture has fewer pixels to carry the same 64 bits. */
const SMALL_GAIN = 1.4;
const JOURNEY_JPEG_QUALITY = 50;
// WebP smooths what JPEG keeps: its own loss comes first, and a milder JPEG after it
const JOURNEY_JPEG_QUALITY_AFTER_WEBP = 75;
const NEEDED_Z = 22;
/** dB: a smooth picture hides more than it must, and strong smoothing takes a faint mark away. */
const QUIETEST_PSNR = 49.5;
const MOST_RAISED = 1.5;
/** What is accepted after the last gain: the id is read, with a margin of a fifth over the decoder's limit. */
const ACCEPTED_Z = 15;
const ROUNDS = 2;
const LEAST_SYMBOL_GAIN = 0.6;
const MOST_SYMBOL_GAIN = 1.7;
const BALANCE = 0.8;

/**
 * Marks `pixels` in place with a 64-bit id.
 * @throws ImageError VALIDATION_FAILED when the picture is too small or cannot carry the mark; `pixels` are then unchanged
 */
export async function markPixels(pixels: Pixels, keys: MarkKeys, id: bigint, options: MarkOptions): Promise<Marked> {
  const [long, short] = [Math.max(pixels.width, pixels.height), Math.min(pixels.width, pixels.height)];
  if (long < MIN_LONG_SIDE || short < MIN_SHORT_SIDE) {
    throw new ImageError(
      'VALIDATION_FAILED',
      `Expected a picture of at least ${MIN_LONG_SIDE}×${MIN_SHORT_SIDE} pixels: a smaller one cannot carry the watermark`,
      { width: pixels.width, height: pixels.height },
    );
  }
  const luma = canonicalLuma(pixels);
  const mask = visibilityMask(luma);
  const strength = Math.min(2, Math.max(0.5, options.strength ?? 1)) * (long < 800 ? SMALL_GAIN : 1);
  const loop = new Loop(luma, mask, keys, id, options);
  const raised = Math.min(MOST_RAISED, Math.max(1, 10 ** ((psnrOf(loop.delta(), strength) - QUIETEST_PSNR) / 20)));
  try {
    for (const [at, step] of GAINS.entries()) {
      const gain = step * strength * (at === 0 ? raised : Math.max(1, raised / step));
      const journeyZ = await loop.balance(gain);
      const needed = at === GAINS.length - 1 ? ACCEPTED_Z : NEEDED_Z;
      if (journeyZ < needed) continue;
      const delta = loop.delta();
      addDelta(pixels, delta, gain);
      return { gain, journeyZ, psnrDb: psnrOf(delta, gain) };
    }
  } finally {
    release(luma.data, mask, loop.change, loop.sent);
  }
  throw new ImageError(
    'VALIDATION_FAILED',
    'The picture cannot carry a watermark: our own check does not find the mark.',
  );
}

class Loop {
  readonly codeword: Int8Array;
  pattern: Float32Array;
  readonly symbolGain = new Float32Array(CODE_LENGTH).fill(1);
  readonly luma: Luma;
  readonly mask: Float32Array;
  readonly keys: MarkKeys;
  readonly id: bigint;
  readonly options: MarkOptions;
  // megabytes outside of the heap, filled anew in each round: collecting them would take longer than filling them
  readonly change: Float32Array;
  readonly sent: Uint8ClampedArray;

  constructor(luma: Luma, mask: Float32Array, keys: MarkKeys, id: bigint, options: MarkOptions) {
    this.luma = luma;
    this.mask = mask;
    this.keys = keys;
    this.id = id;
    this.options = options;
    this.change = new Float32Array(mask.length);
    this.sent = new Uint8ClampedArray(mask.length);
    this.codeword = encodeId(id);
    this.pattern = this.render();
  }

  render(): Float32Array {
    const { sync, payload } = this.keys;
    return renderPattern(syncPattern(sync), payloadPattern(payload, sync), this.codeword, this.symbolGain);
  }

  /** The change at gain 1, grey levels on the canonical grid; the same array is filled by the next call. */
  delta(): Float32Array {
    const { change, mask, pattern } = this;
    const { width, height } = this.luma;
    for (let y = 0, i = 0; y < height; y++) {
      const row = (y & (PERIOD - 1)) * PERIOD;
      for (let x = 0; x < width; x++, i++) {
        change[i] = (mask[i] as number) * (pattern[row + (x & (PERIOD - 1))] as number);
      }
    }
    return change;
  }

  /** Evens out the symbols at one gain; answers z′ after the journey, 0 when the id is not read. */
  async balance(gain: number): Promise<number> {
    for (let round = 0; ; round++) {
      const evidence = await this.arrive(gain);
      if (round === ROUNDS) return this.isRead(evidence) ? blindZ(evidence, this.codeword) : 0;
      this.shift(evidence);
      this.pattern = this.render();
    }
  }

  async arrive(gain: number): Promise<Evidence> {
    const isLossyWebp = this.options.format === 'webp' && !this.options.lossless;
    const marked = this.marked(gain);
    const arrived = await (isLossyWebp ? afterWebp(marked) : afterJpeg(marked));
    const picture = analyse(arrived);
    const sync = syncPattern(this.keys.sync);
    const folded = fold(picture, { a: 1, b: 0, c: 0, d: 1, tx: 0, ty: 0 });
    const placement = { dx: 0, dy: 0, isTurned: false };
    const lines = lineEvidence(folded, sync, placement);
    release(arrived.data, picture.pixels, picture.power, picture.spectrum.re, picture.spectrum.im);
    return readSymbols(folded, sync, payloadPattern(this.keys.payload, this.keys.sync), placement, lines);
  }

  /** The canonical picture with the change at this gain; the same array is filled by the next call. */
  marked(gain: number): GreyBytes {
    const { sent } = this;
    const { width, height, data } = this.luma;
    const change = this.delta();
    for (let i = 0; i < sent.length; i++) {
      // of single precision before it is rounded, as the picture that it stands for
      sent[i] = Math.fround((data[i] as number) + gain * (change[i] as number));
    }
    return { width, height, data: sent };
  }

  /** Weak symbols get more, strong ones less, at the same power. */
  shift({ symbols }: Evidence): void {
    const arrived = Float32Array.from(symbols, (value, j) => value * (this.codeword[j] as number));
    const mean = arrived.reduce((sum, value) => sum + value, 0) / CODE_LENGTH;
    if (!(mean > 0)) return;
    let power = 0;
    for (let j = 0; j < CODE_LENGTH; j++) {
      const wanted = (this.symbolGain[j] as number) * (1 + BALANCE * (1 - (arrived[j] as number) / mean));
      this.symbolGain[j] = Math.min(MOST_SYMBOL_GAIN, Math.max(LEAST_SYMBOL_GAIN, wanted));
      power += (this.symbolGain[j] as number) ** 2;
    }
    const scale = Math.sqrt(CODE_LENGTH / power);
    for (let j = 0; j < CODE_LENGTH; j++) this.symbolGain[j] = (this.symbolGain[j] as number) * scale;
  }

  isRead({ symbols, power }: Evidence): boolean {
    const scale = 1 / Math.sqrt(power / CODE_LENGTH + 1e-12);
    return decodeId(Float32Array.from(symbols, (value) => value * scale))?.id === this.id;
  }
}

async function afterJpeg(grey: GreyBytes, quality = JOURNEY_JPEG_QUALITY): Promise<Luma> {
  return decodeGrey(await encodeGreyJpeg(grey, quality));
}

async function afterWebp(grey: GreyBytes): Promise<Luma> {
  const { width, height } = grey;
  const stored = await decodeLuma(await encodeGreyWebp(grey), width, height);
  return afterJpeg({ width, height, data: Uint8ClampedArray.from(stored.data) }, JOURNEY_JPEG_QUALITY_AFTER_WEBP);
}

function psnrOf(delta: Float32Array, gain: number): number {
  let squares = 0;
  for (let i = 0; i < delta.length; i++) {
    const change = gain * (delta[i] as number);
    squares += change * change;
  }
  return squares === 0 ? Infinity : 10 * Math.log10((255 * 255 * delta.length) / squares);
}
