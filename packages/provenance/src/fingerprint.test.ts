import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { shrinkToJpeg } from './codec/alter.ts';
import { decodeLuma } from './codec/codec.ts';
import { fingerprintDistance, fingerprintOf, SAME_PICTURE_DISTANCE } from './fingerprint.ts';

const NAMES = ['dandelion', 'dogs-portrait', 'fig-bowl', 'forest-stream', 'mountain-path-grey', 'sunset'];
const read = (name: string): Promise<Buffer> =>
  readFile(new URL(`../../../fixtures/photos/${name}.jpg`, import.meta.url));
const of = async (bytes: Uint8Array): Promise<Uint8Array> => fingerprintOf(await decodeLuma(bytes, 512, 384));

test('a picture keeps its fingerprint when it is shrunk and saved at low quality', async () => {
  for (const name of NAMES) {
    const bytes = await read(name);
    const distance = fingerprintDistance(await of(bytes), await of(await shrinkToJpeg(bytes, 640, 40)));
    assert.ok(distance < SAME_PICTURE_DISTANCE / 3, `${name}: ${distance}`);
  }
});

test('different pictures have fingerprints that are far apart', async () => {
  const prints = await Promise.all(NAMES.map(async (name) => of(await read(name))));
  for (let a = 0; a < prints.length; a++) {
    for (let b = 0; b < a; b++) {
      const distance = fingerprintDistance(prints[a] as Uint8Array, prints[b] as Uint8Array);
      assert.ok(distance > SAME_PICTURE_DISTANCE, `${NAMES[a]} and ${NAMES[b]}: ${distance}`);
    }
  }
});

test('a fingerprint of another length is refused', () => {
  assert.throws(() => fingerprintDistance(new Uint8Array(32), new Uint8Array(31)), TypeError);
});
