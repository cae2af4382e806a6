import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BEYOND, CORE, EXTREME, SMALL } from './attacks.ts';
import { psnr, randomFrom, type Raster } from './raster.ts';

/** Smooth shapes with some texture, 192×128. */
function picture(): Raster {
  const random = randomFrom(9);
  const data = Uint8Array.from({ length: 192 * 128 * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % 192, Math.floor(i / 3 / 192)];
    return Math.round(128 + 60 * Math.sin(x / 13 + (i % 3)) * Math.cos(y / 11) + 16 * random());
  });
  return { width: 192, height: 128, data };
}

/** Attacks that keep the size, and the PSNR between which they must leave the picture. */
const LOSSES: Readonly<Record<string, readonly [number, number]>> = {
  jpeg90: [32, 50],
  jpeg50: [27, 40],
  jpeg15: [22, 32],
  webp50: [26, 42],
  webp20: [24, 38],
  avif50: [25, 45],
  blur1: [28, 45],
  blur2: [25, 40],
  noise5: [33.8, 34.5],
  noise25: [20, 20.8],
  'bright+40': [15, 17.5],
  'contrast.6': [15, 30],
  quant32: [20, 40],
  overlay: [10, 25],
  nlmeans: [28, 45],
  median5: [25, 40],
};

for (const [name, [least, most]] of Object.entries(LOSSES)) {
  test(`${name} costs what it says`, async () => {
    const before = picture();
    const after = await ({ ...CORE, ...EXTREME, ...BEYOND }[name] as (typeof CORE)[string])(before);
    assert.deepEqual([after.width, after.height], [192, 128]);
    const cost = psnr(before, after);
    assert.ok(cost > least && cost < most, `${cost} dB`);
  });
}

const SIZES: Readonly<Record<string, readonly [number, number]>> = {
  resize2x: [384, 256],
  'resize0.25': [48, 32],
  'crop25%area': [96, 64],
  'crop10%area': [60, 40],
  'aspect+3%': [198, 128],
  'aspect-8%': [177, 128],
  rot90: [128, 192],
  strip: [192, 24],
  'persp8%': [192, 128],
  social1080q75: [1_080, 720],
};

for (const [name, size] of Object.entries(SIZES)) {
  test(`${name} has the size that it says`, async () => {
    const after = await ({ ...CORE, ...EXTREME, ...BEYOND }[name] as (typeof CORE)[string])(picture());
    assert.deepEqual([after.width, after.height], size);
  });
}

test('there are 49 core attacks and 3 extreme ones, and every one gives the same picture twice', async () => {
  assert.deepEqual([Object.keys(CORE).length, Object.keys(EXTREME).length], [49, 3]);
  for (const [name, attack] of Object.entries({ ...CORE, ...EXTREME, ...BEYOND, ...SMALL })) {
    const [one, other] = [await attack(picture()), await attack(picture())];
    assert.deepEqual(one.data, other.data, name);
    assert.equal(one.data.length, one.width * one.height * 3, name);
  }
});

test('mirrors and turns are what they are called', async () => {
  const before = picture();
  const flipped = await (CORE['fliph'] as (typeof CORE)[string])(before);
  assert.deepEqual([...flipped.data.subarray(0, 3)], [...before.data.subarray(191 * 3, 192 * 3)]);
  const turned = await (CORE['rot180'] as (typeof CORE)[string])(before);
  assert.deepEqual([...turned.data.subarray(0, 3)], [...before.data.subarray(-3)]);
});
