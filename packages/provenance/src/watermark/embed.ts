// Puts the mark of one photo into pixels: keyed signs → lapped transform → visibility mask → added to R, G and B alike.
import type { Luma, Pixels } from '../codec/codec.ts';
import { visibilityMask } from './mask.ts';
import { keyedSigns } from './signs.ts';
import { BAND, blockCounts, canonicalSize, inverse, ORDERS, type FrameSize } from './transform.ts';

/**
 * Adds the mark to `pixels` in place and returns them. Luma only: grey pictures and chroma subsampling lose nothing.
 * Alpha stays, and so do pixels that are fully transparent. The same arguments give the same pixels.
 * @param photoKey 32 secret bytes of this photo alone
 * @param gain factor on the visibility mask; 1 is not seen
 */
export function embed(pixels: Pixels, photoKey: Uint8Array, gain = 1): Pixels {
  addDelta(pixels, markDelta(canonicalLuma(pixels), photoKey), gain);
  return pixels;
}

/** The change at gain 1 in the canonical frame, in grey levels of 255. */
export function markDelta(luma: Luma, photoKey: Uint8Array): Float32Array {
  const delta = inverse(markCoefficients(luma, photoKey), luma);
  const mask = visibilityMask(luma);
  for (let i = 0; i < delta.length; i++) delta[i] = (delta[i] as number) * (mask[i] as number);
  return delta;
}

/** The canonical frame of a decoded picture, sampled as `embed` does. */
export function canonicalLuma(pixels: Pixels): Luma {
  return sampleLuma(pixels, canonicalSize(pixels));
}

/** Signs times amplitudes in the order of `forward`; their pattern has RMS 1. */
function markCoefficients(size: FrameSize, photoKey: Uint8Array): Float32Array {
  const { across, down } = blockCounts(size);
  const signs = keyedSigns(photoKey, across * down * BAND.length);
  const coefficients = new Float32Array(across * down * ORDERS * ORDERS);
  const scale = 16 / Math.sqrt(BAND.length);
  for (let by = 0, sign = 0; by < down; by++) {
    for (let bx = 0; bx < across; bx++) {
      for (const { kx, ky, amplitude } of BAND) {
        const at = ((by * ORDERS + ky) * across + bx) * ORDERS + kx;
        coefficients[at] = scale * amplitude * (signs[sign++] as number);
      }
    }
  }
  return coefficients;
}

/** Luma of the canonical frame from four samples a pixel: enough to know where texture is, and 30 ms faster than all. */
function sampleLuma(pixels: Pixels, size: FrameSize): Luma {
  const { width, height, channels, data } = pixels;
  const toByte = pixels.bitDepth === 16 ? 1 / 257 : 1;
  const [xs, xs2] = samplePositions(width, size.width, channels);
  const [ys, ys2] = samplePositions(height, size.height, width * channels);
  const colour = channels >= 3;
  const [red, green, blue] = colour ? [0.299 / 4, 0.587 / 4, 0.114 / 4] : [0.25, 0, 0];
  const luma = new Float32Array(size.width * size.height);
  for (let y = 0, i = 0; y < size.height; y++) {
    const [top, bottom] = [ys[y] as number, ys2[y] as number];
    for (let x = 0; x < size.width; x++, i++) {
      const a = top + (xs[x] as number);
      const b = top + (xs2[x] as number);
      const c = bottom + (xs[x] as number);
      const d = bottom + (xs2[x] as number);
      let sum = red * ((data[a] as number) + (data[b] as number) + (data[c] as number) + (data[d] as number));
      if (colour) {
        sum +=
          green *
            ((data[a + 1] as number) + (data[b + 1] as number) + (data[c + 1] as number) + (data[d + 1] as number)) +
          blue *
            ((data[a + 2] as number) + (data[b + 2] as number) + (data[c + 2] as number) + (data[d + 2] as number));
      }
      luma[i] = sum * toByte;
    }
  }
  return { ...size, data: luma };
}

/** For every canonical position the offsets of two source positions, a quarter and three quarters through its span. */
function samplePositions(source: number, target: number, stride: number): readonly [Int32Array, Int32Array] {
  const first = new Int32Array(target);
  const second = new Int32Array(target);
  const step = source / target;
  for (let i = 0; i < target; i++) {
    first[i] = Math.min(source - 1, Math.floor((i + 0.25) * step)) * stride;
    second[i] = Math.min(source - 1, Math.floor((i + 0.75) * step)) * stride;
  }
  return [first, second];
}

// fixed point of the enlarged change: 6 bits below a grey level in the delta, 8 bits in each interpolation weight
const DELTA_BITS = 6;
const WEIGHT_BITS = 8;

/** Enlarges the canonical change to full size (bilinear) and adds it, rounded, clamped at black and white; in place. */
export function addDelta(pixels: Pixels, delta: Float32Array, gain: number): void {
  const size = canonicalSize(pixels);
  const { width, height, channels, data } = pixels;
  const levels = pixels.bitDepth === 16 ? 257 : 1;
  const fixed = new Int32Array(delta.length);
  const scale = gain * (1 << DELTA_BITS);
  for (let i = 0; i < fixed.length; i++) fixed[i] = Math.round((delta[i] as number) * scale);
  const columns = interpolation(width, size.width);
  const rows = interpolation(height, size.height);
  const line = new Int32Array(size.width + 1);
  const change = new Int32Array(width);
  for (let y = 0; y < height; y++) {
    const top = (rows.index[y] as number) * size.width;
    const bottom = Math.min(size.height - 1, (rows.index[y] as number) + 1) * size.width;
    const share = rows.weight[y] as number;
    // one canonical line between two rows, 14 bits below a grey level
    for (let x = 0; x < size.width; x++) {
      line[x] = (fixed[top + x] as number) * (256 - share) + (fixed[bottom + x] as number) * share;
    }
    line[size.width] = line[size.width - 1] as number;
    changeOfRow(line, columns, change, levels);
    if (pixels.bitDepth === 16) addDeepRow(data as Uint16Array, change, y * width * channels, channels);
    else addRow(data as Uint8Array, change, y * width * channels, channels);
  }
}

/** The rounded change of every pixel of a row, in sample units. */
function changeOfRow(line: Int32Array, columns: Interpolation, change: Int32Array, levels: number): void {
  const { index, weight } = columns;
  const shift = DELTA_BITS + 2 * WEIGHT_BITS;
  const half = 1 << (shift - 1);
  if (levels === 1) {
    for (let x = 0; x < change.length; x++) {
      const at = index[x] as number;
      const left = line[at] as number;
      change[x] = ((left << WEIGHT_BITS) + ((line[at + 1] as number) - left) * (weight[x] as number) + half) >> shift;
    }
    return;
  }
  const unit = levels / 2 ** shift;
  for (let x = 0; x < change.length; x++) {
    const at = index[x] as number;
    const left = line[at] as number;
    change[x] = Math.round((left * 256 + ((line[at + 1] as number) - left) * (weight[x] as number)) * unit);
  }
}

// clamping by table is twice as fast as by comparison; changes stay far within ±256
const CLAMPED = Uint8Array.from({ length: 768 }, (_, index) => Math.min(255, Math.max(0, index - 256)));

function addRow(data: Uint8Array, change: Int32Array, start: number, channels: number): void {
  const width = change.length;
  let at = start;
  if (channels === 3) {
    for (let x = 0; x < width; x++, at += 3) {
      const by = (change[x] as number) + 256;
      data[at] = CLAMPED[(data[at] as number) + by] as number;
      data[at + 1] = CLAMPED[(data[at + 1] as number) + by] as number;
      data[at + 2] = CLAMPED[(data[at + 2] as number) + by] as number;
    }
  } else if (channels === 1) {
    for (let x = 0; x < width; x++, at++)
      data[at] = CLAMPED[(data[at] as number) + (change[x] as number) + 256] as number;
  } else {
    for (let x = 0; x < width; x++, at += 4) {
      if (data[at + 3] === 0) continue;
      const by = (change[x] as number) + 256;
      data[at] = CLAMPED[(data[at] as number) + by] as number;
      data[at + 1] = CLAMPED[(data[at + 1] as number) + by] as number;
      data[at + 2] = CLAMPED[(data[at + 2] as number) + by] as number;
    }
  }
}

function addDeepRow(data: Uint16Array, change: Int32Array, start: number, channels: number): void {
  const colours = channels === 4 ? 3 : channels;
  for (let x = 0, at = start; x < change.length; x++, at += channels) {
    if (channels === 4 && data[at + 3] === 0) continue;
    for (let c = 0; c < colours; c++) {
      data[at + c] = Math.min(65_535, Math.max(0, (data[at + c] as number) + (change[x] as number)));
    }
  }
}

interface Interpolation {
  index: Int32Array;
  /** Of the next position, 0…255 of 256. */
  weight: Int32Array;
}

/** Left neighbour and weight for every position of the large side, pixel centres aligned. */
function interpolation(large: number, small: number): Interpolation {
  const index = new Int32Array(large);
  const weight = new Int32Array(large);
  for (let i = 0; i < large; i++) {
    const position = Math.min(small - 1, Math.max(0, ((i + 0.5) * small) / large - 0.5));
    index[i] = Math.min(small - 1, position | 0);
    weight[i] = Math.min(255, Math.round((position - (position | 0)) * 256));
  }
  return { index, weight };
}
