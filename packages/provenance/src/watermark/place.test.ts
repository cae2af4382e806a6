import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pixels } from '../codec/codec.ts';
import { canonicalGrid, canonicalScale } from './frame.ts';
import { addDelta } from './place.ts';

const SIZES = [
  { width: 4_000, height: 13 },
  { width: 13, height: 2_050 },
  { width: 1_024, height: 17 },
  { width: 517, height: 31 },
  // nearly the widest that 16 megapixels can be
  { width: 124_999, height: 5 },
];

for (const channels of [1, 3, 4] as const) {
  for (const bitDepth of [8, 16] as const) {
    test(`${channels} channels of ${bitDepth} bits change as the bilinear enlargement says, sample by sample`, () => {
      for (const size of SIZES) {
        const pixels = noise({ ...size, channels, bitDepth });
        const grid = canonicalGrid(size);
        const delta = Float32Array.from({ length: grid.width * grid.height }, () => 160 * (random() - 0.5));
        const expected = enlargedSum(pixels, delta, 0.83);
        addDelta(pixels, delta, 0.83);
        assert.ok(Buffer.from(pixels.data.buffer).equals(Buffer.from(expected.buffer)), JSON.stringify(size));
      }
    });
  }
}

/** Straight from the definition, one sample after another. */
function enlargedSum({ width, height, channels, bitDepth, data }: Pixels, delta: Float32Array, gain: number) {
  const grid = canonicalGrid({ width, height });
  const scale = canonicalScale({ width, height });
  const sum = data.slice();
  const at = (x: number, y: number): number =>
    Math.round((delta[Math.min(grid.height - 1, y) * grid.width + Math.min(grid.width - 1, x)] as number) * gain * 64);
  for (let y = 0; y < height; y++) {
    const row = source(y, grid.height, scale);
    for (let x = 0; x < width; x++) {
      const column = source(x, grid.width, scale);
      const line = (dx: number): number =>
        at(column.left + dx, row.left) * (256 - row.weight) + at(column.left + dx, row.left + 1) * row.weight;
      const exact = (line(0) * (256 - column.weight) + line(1) * column.weight) / 2 ** 22;
      const change = Math.floor(exact * (bitDepth === 16 ? 257 : 1) + 0.5);
      const pixel = (y * width + x) * channels;
      if (channels === 4 && data[pixel + 3] === 0) continue;
      for (let c = 0; c < Math.min(3, channels); c++) {
        const most = 2 ** bitDepth - 1;
        sum[pixel + c] = Math.min(most, Math.max(0, (data[pixel + c] as number) + change));
      }
    }
  }
  return sum;
}

function source(position: number, cells: number, scale: number): { left: number; weight: number } {
  const exact = Math.min(cells - 1, Math.max(0, (position + 0.5) * scale - 0.5));
  const left = Math.floor(exact);
  return { left, weight: Math.min(255, Math.round((exact - left) * 256)) };
}

function noise(of: Omit<Pixels, 'data'>): Pixels {
  const count = of.width * of.height * of.channels;
  const most = 2 ** of.bitDepth - 1;
  const data = of.bitDepth === 16 ? new Uint16Array(count) : new Uint8Array(count);
  // many at the ends, where a change is cut off, and many transparent
  for (let i = 0; i < count; i++) data[i] = Math.min(most, Math.max(0, Math.round((1.4 * random() - 0.2) * most)));
  return { ...of, data };
}

let state = 1;
/** 0…1, the same in every run (Park and Miller's generator). */
function random(): number {
  state = (state * 48_271) % 2_147_483_647;
  return state / 2_147_483_647;
}
