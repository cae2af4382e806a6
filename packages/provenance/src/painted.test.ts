import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import type { Luma } from './codec/codec.ts';
import { fingerprintOf } from './fingerprint.ts';
import { paintedRegions } from './painted.ts';

const PHOTOS = new URL('../../../fixtures/photos/', import.meta.url);
const NAMES = ['dandelion.jpg', 'dogs-portrait.jpg', 'fig-bowl.jpg', 'forest-stream.jpg', 'sunset.jpg'];

async function lumaOf(source: Sharp | string): Promise<Luma> {
  const image = typeof source === 'string' ? sharp(source) : sharp(await source.toBuffer());
  const { data, info } = await image
    .resize(1_024, 1_024, { fit: 'inside' })
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: Float32Array.from(data) };
}

const pathOf = (name: string): string => new URL(name, PHOTOS).pathname;

test('saving again, shrinking and a darker tone paint nothing', async () => {
  for (const name of NAMES) {
    const recorded = fingerprintOf(await lumaOf(pathOf(name)));
    for (const version of [
      sharp(pathOf(name)).jpeg({ quality: 50 }),
      sharp(pathOf(name)).webp({ quality: 50 }),
      sharp(pathOf(name)).resize(512).jpeg({ quality: 75 }),
      sharp(pathOf(name)).linear(0.9, 4).jpeg({ quality: 75 }),
    ]) {
      assert.deepEqual(paintedRegions(await lumaOf(version), recorded), [], name);
    }
  }
});

test('one colour over a part is found, there and nowhere else', async () => {
  let found = 0;
  for (const name of NAMES) {
    const recorded = fingerprintOf(await lumaOf(pathOf(name)));
    const { width, height } = await sharp(pathOf(name)).metadata();
    const size = { width: Math.round(width * 0.4), height: Math.round(height * 0.4) };
    for (const background of ['#202020', '#f0f0f0']) {
      const input = { create: { ...size, channels: 3 as const, background } };
      const at = { left: Math.round(width * 0.25), top: Math.round(height * 0.25) };
      const painted = sharp(pathOf(name))
        .composite([{ input, ...at }])
        .jpeg({ quality: 75 });
      for (const { left, top, width: w, height: h, log10p } of paintedRegions(await lumaOf(painted), recorded)) {
        found++;
        assert.ok(Math.abs(left - 0.25) < 0.05 && Math.abs(top - 0.25) < 0.05, `${name} ${background}`);
        assert.ok(Math.abs(w - 0.4) < 0.06 && Math.abs(h - 0.4) < 0.06, `${name} ${background}: ${w} × ${h}`);
        assert.ok(log10p < -4);
      }
    }
  }
  // a part that was dark already and is painted dark has no bit that changes
  assert.ok(found >= 7, `${found} of 10`);
});

test('a picture without a structure has no fingerprint to hold it against', () => {
  const grey = { width: 640, height: 480, data: new Float32Array(640 * 480).fill(128) };
  assert.deepEqual(paintedRegions(grey, fingerprintOf(grey)), []);
  assert.deepEqual(paintedRegions(grey, new Uint8Array(3)), []);
});
