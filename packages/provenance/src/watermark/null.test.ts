import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import sharp from 'sharp';
import type { Folded } from './fold.ts';
import { foldedUpright, nullOverKeys } from './null.fixture.ts';
import { complexSquare, fft2 } from './fft.ts';
import { payloadPattern, PERIOD, renderPattern, syncPattern } from './pattern.ts';
import { encodeId } from './polar.ts';

const PHOTOS = new URL('../../../../fixtures/photos/', import.meta.url);
const secret = (name: string): Uint8Array => createHash('sha256').update(name).digest();
const sync = { version: 1, secret: secret('installation') };
const keysOf = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ tenantId: 'null', version: 1, secret: secret(`key ${i}`) }));
const ID = 0x0123456789abcdefn;

describe('the null distribution', () => {
  it('is standard normal for photographs, over keys and over pictures', async () => {
    const pictures: Folded[] = [];
    for (const name of ['dandelion', 'dogs-portrait', 'fig-bowl', 'forest-stream', 'mountain-path-grey', 'sunset']) {
      const { data, info } = await sharp(new URL(`${name}.jpg`, PHOTOS).pathname)
        .resize(1_024, 1_024, { fit: 'inside' })
        .greyscale()
        .raw()
        .toBuffer({ resolveWithObject: true });
      pictures.push(foldedUpright({ width: info.width, height: info.height, data: Float32Array.from(data) }));
    }
    const { all, leastP } = nullOverKeys(pictures, sync, keysOf(60), ID);
    assert.equal(all.n, 360);
    // deviations of mean and sd for n = 360: 0.053 and 0.037
    assert.ok(Math.abs(all.mean) < 0.2 && Math.abs(all.sd - 1) < 0.15, JSON.stringify(all));
    assert.ok(all.ksP > 1e-3 && leastP > 1e-3, JSON.stringify({ ksP: all.ksP, leastP }));
  });

  it('is not, when one of the keys marked the pictures: the harness can fail', () => {
    const keys = keysOf(10);
    const square = complexSquare(PERIOD);
    square.re.set(renderPattern(syncPattern(sync), payloadPattern(keys[3]!, sync), encodeId(ID)));
    fft2(square);
    const { all, z } = nullOverKeys([square, square], sync, keys, ID);
    assert.ok(z[0]![3]! > 20);
    assert.ok(all.sd > 3);
  });
});
