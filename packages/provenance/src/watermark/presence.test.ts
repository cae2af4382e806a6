import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import sharp from 'sharp';
import type { Luma } from '../codec/codec.ts';
import { boxBlur } from './analyse.ts';
import type { Affine } from './fold.ts';
import { payloadPattern, PERIOD, renderPattern, syncPattern } from './pattern.ts';
import { encodeId } from './polar.ts';
import { CANNOT_TELL, MISSING, presenceMap, type PresenceMap } from './presence.ts';

const PHOTOS = new URL('../../../../fixtures/photos/', import.meta.url);
const secret = (name: string): Uint8Array => createHash('sha256').update(name).digest();
const keys = {
  sync: { version: 1, secret: secret('installation') },
  payload: { tenantId: 'tenant', version: 1, secret: secret('tenant') },
};
const id = 0x1234567890abcdefn;
const pattern = renderPattern(syncPattern(keys.sync), payloadPattern(keys.payload, keys.sync), encodeId(id));

async function lumaOf(source: Parameters<typeof sharp>[0], longSide = 1_024): Promise<Luma> {
  const { data, info } = await sharp(source)
    .resize(longSide, longSide, { fit: 'inside' })
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: Float32Array.from(data) };
}

const photo = (name: string): Promise<Luma> => lumaOf(new URL(name, PHOTOS).pathname);

/** The pattern under a mask of local deviation: as the embedder does it, without its loop. */
function marked({ width, height, data }: Luma): Luma {
  const mean = boxBlur(data, width, height, 3);
  const squares = data.map((value, i) => (value - mean[i]!) ** 2);
  const variance = boxBlur(squares, width, height, 3);
  const result = data.map((value, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    const strength = Math.min(4, 0.6 + 0.12 * Math.sqrt(Math.max(0, variance[i]!)));
    const sign = pattern[(y & (PERIOD - 1)) * PERIOD + (x & (PERIOD - 1))]!;
    return Math.round(Math.min(255, Math.max(0, value + strength * sign)));
  });
  return { width, height, data: result };
}

async function journey({ width, height, data }: Luma, quality: number, scale = 1): Promise<Luma> {
  const raw = { width, height, channels: 1 as const };
  const jpeg = await sharp(Uint8Array.from(data), { raw })
    .resize(Math.round(width * scale))
    .jpeg({ quality })
    .toBuffer();
  return lumaOf(jpeg);
}

const whole = (scale: number): Affine => ({ a: scale, b: 0, c: 0, d: scale, tx: (scale - 1) / 2, ty: (scale - 1) / 2 });

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** A pixel of a picture that is repeated in all directions. */
const at = (of: Luma, x: number, y: number): number => of.data[(y % of.height) * of.width + (x % of.width)]!;

/** 15 % of the area, away from the border. */
const boxIn = ({ width, height }: Luma): Box => ({
  left: Math.round(width * 0.28),
  top: Math.round(height * 0.3),
  width: Math.round(width * 0.4),
  height: Math.round(height * 0.38),
});

function edited(luma: Luma, change: (x: number, y: number) => number): Luma {
  const box = boxIn(luma);
  const data = luma.data.slice();
  for (let y = box.top; y < box.top + box.height; y++) {
    for (let x = box.left; x < box.left + box.width; x++) data[y * luma.width + x] = change(x, y);
  }
  return { ...luma, data };
}

/** Intersection over union of the cells in `state` and those whose middle lies in the box. */
function overlap(map: PresenceMap, box: Box, state: number): number {
  let [both, either] = [0, 0];
  for (let cell = 0; cell < map.state.length; cell++) {
    const x = ((cell % map.cellsX) + 0.5) * map.cellPx;
    const y = (Math.floor(cell / map.cellsX) + 0.5) * map.cellPx;
    const isInside = x >= box.left && x < box.left + box.width && y >= box.top && y < box.top + box.height;
    const isState = map.state[cell] === state;
    both += isInside && isState ? 1 : 0;
    either += isInside || isState ? 1 : 0;
  }
  return both / either;
}

/** The picture at (x, y) / (g·x + h·y + 1). */
function tilted({ width, height, data }: Luma, g: number, h: number): Luma {
  const result = new Float32Array(data.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      // x' = X/(gX + hY + 1), y' = Y/(gX + hY + 1), solved for X and Y
      const down = 1 - g * x - h * y;
      const [u, v] = [Math.min(width - 1.001, x / down), Math.min(height - 1.001, y / down)];
      const [left, top] = [Math.floor(u), Math.floor(v)];
      const [fx, fy, from] = [u - left, v - top, top * width + left];
      const upper = data[from]! * (1 - fx) + data[from + 1]! * fx;
      const lower = data[from + width]! * (1 - fx) + data[from + width + 1]! * fx;
      result[i] = upper * (1 - fy) + lower * fy;
    }
  }
  return { width, height, data: result };
}

const sumOf = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0);

const NAMES = [
  'dandelion.jpg',
  'dogs-portrait.jpg',
  'fig-bowl.jpg',
  'forest-stream.jpg',
  'mountain-path-grey.jpg',
  'sunset.jpg',
];

describe('where the mark is missing', () => {
  for (const name of NAMES) {
    it(`is nowhere in ${name} after compression and shrinking alone`, async () => {
      const luma = marked(await photo(name));
      for (const [quality, scale] of [
        [95, 1],
        [75, 1],
        [50, 1],
        [85, 0.5],
      ] as const) {
        const map = presenceMap(await journey(luma, quality, scale), whole(scale), keys, id);
        assert.deepEqual(map.regions, [], `quality ${quality}, scale ${scale}`);
        assert.equal(map.changedShare, 0);
        assert.ok(map.state.every((state) => state !== MISSING));
      }
    });
  }

  it('is what was pasted from another picture, cloned from this one, or repainted, after JPEG 75', async () => {
    const other = marked(await photo('fig-bowl.jpg'));
    for (const name of ['dandelion.jpg', 'dogs-portrait.jpg', 'mountain-path-grey.jpg']) {
      const original = await photo(name);
      const luma = marked(original);
      const { width, height } = luma;
      const edits: Record<string, (x: number, y: number) => number> = {
        'unmarked original': (x, y) => at(original, x, y),
        // it carries the same mark, in another place
        paste: (x, y) => at(other, x + 77, y + 31),
        clone: (x, y) => at(luma, x + Math.round(width * 0.31) + 11, y + Math.round(height * 0.3) + 37),
        paint: (x, y) => 120 + 20 * Math.sin(x / 9) + 10 * Math.sin(x * y),
      };
      for (const [edit, change] of Object.entries(edits)) {
        const map = presenceMap(await journey(edited(luma, change), 75), whole(1), keys, id);
        const found = overlap(map, boxIn(luma), MISSING);
        assert.equal(map.regions.length, 1, `${edit} in ${name}`);
        assert.ok(found > 0.45, `${edit} in ${name}: overlap ${found}`);
        assert.ok(map.regions[0]!.log10p <= -8);
        assert.ok(map.changedShare > 0.06 && map.changedShare < 0.25, `${edit} in ${name}: ${map.changedShare}`);
      }
    }
  });

  it('is found in a picture that was tilted, under its homography', async () => {
    const luma = marked(await photo('sunset.jpg'));
    const other = await photo('forest-stream.jpg');
    const [tilt, untouched] = [{ g: 9e-5, h: -6e-5 }, tilted(luma, 9e-5, -6e-5)];
    const map = { a: 1, b: 0, c: 0, d: 1, tx: 0, ty: 0, ...tilt };
    assert.deepEqual(presenceMap(untouched, map, keys, id).regions, []);
    const changed = edited(luma, (x, y) => at(other, x + 77, y + 31));
    const seen = presenceMap(tilted(changed, tilt.g, tilt.h), map, keys, id);
    assert.equal(seen.regions.length, 1);
    assert.ok(overlap(seen, boxIn(luma), MISSING) > 0.4);
    // as if it lay flat, the mark is lost towards the corners
    const flat = presenceMap(untouched, whole(1), keys, id);
    assert.ok(
      flat.evidence.reduce((sum, z) => sum + z, 0) < 0.6 * sumOf(presenceMap(untouched, map, keys, id).evidence),
    );
  });

  it('cannot be told where one colour was painted: compression empties flat parts too', async () => {
    const luma = edited(marked(await photo('fig-bowl.jpg')), () => 128);
    const map = presenceMap(await journey(luma, 75), whole(1), keys, id);
    assert.equal(overlap(map, boxIn(luma), MISSING), 0);
    assert.ok(overlap(map, boxIn(luma), CANNOT_TELL) > 0.4);
  });

  it('cannot be told in a picture that carries no mark, or another id', async () => {
    const luma = await photo('dogs-portrait.jpg');
    for (const picture of [luma, marked(luma)]) {
      const map = presenceMap(picture, whole(1), keys, 42n);
      assert.deepEqual(map.regions, []);
      assert.ok(map.state.filter((state) => state === CANNOT_TELL).length > 0.9 * map.state.length);
    }
  });

  it('has evidence of deviation 1 where there is no mark', async () => {
    for (const name of NAMES.slice(0, 3)) {
      const { evidence } = presenceMap(await photo(name), whole(1), keys, id);
      const square = evidence.reduce((sum, z) => sum + z * z, 0) / evidence.length;
      // about 40 windows of their own a picture
      assert.ok(square > 0.3 && square < 2.2, `${name}: ${square}`);
    }
  });
});
