// The GPS directory goes and nothing else moves; damaged blocks are recognised, never followed out of bounds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import sharp from 'sharp';
import { exifFixture } from './exif.fixture.ts';
import { hasGps, withoutGps } from './exif.ts';

async function tiffFixture(): Promise<Uint8Array> {
  const picture = sharp({ create: { width: 32, height: 32, channels: 3, background: 'grey' } });
  const { exif } = await sharp(await picture.withExif(exifFixture()).jpeg().toBuffer()).metadata();
  assert.ok(exif);
  return Uint8Array.from(exif.subarray(6));
}

/** Big-endian TIFF with one directory of these entries at offset 8 and no next one. */
function tiffOf(
  entries: readonly [tag: number, type: number, count: number, value: number][],
  link = true,
): Uint8Array {
  const bytes = Buffer.alloc(8 + 2 + 12 * entries.length + (link ? 4 : 0));
  bytes.write('MM\0*', 'latin1');
  bytes.writeUInt32BE(8, 4);
  bytes.writeUInt16BE(entries.length, 8);
  for (const [index, [tag, type, count, value]] of entries.entries()) {
    const at = 10 + 12 * index;
    bytes.writeUInt16BE(tag, at);
    bytes.writeUInt16BE(type, at + 2);
    bytes.writeUInt32BE(count, at + 4);
    bytes.writeUInt32BE(value, at + 8);
  }
  return Uint8Array.from(bytes);
}

test('the position is gone, its bytes too, and every other value stays where it was', async () => {
  const before = await tiffFixture();
  const after = withoutGps(before);
  assert.ok(after);
  assert.equal(after.length, before.length);
  assert.equal(hasGps(before), true);
  assert.equal(hasGps(after), false);
  const degrees = Buffer.from([51, 0, 0, 0, 1, 0, 0, 0, 30, 0, 0, 0, 1, 0, 0, 0]);
  assert.ok(Buffer.from(before).includes(degrees), 'the fixture itself');
  assert.ok(!Buffer.from(after).includes(degrees));
  for (const text of ['A. Photographer', 'Camera']) {
    assert.equal(Buffer.from(after).indexOf(text), Buffer.from(before).indexOf(text), text);
  }
});

test('a block without a position comes back unchanged', () => {
  const tiff = tiffOf([[0x0112, 3, 1, 6 << 16]]);
  assert.deepEqual(withoutGps(tiff), tiff);
  assert.equal(hasGps(tiff), false);
});

test('a directory that ends the block without a link to the next is fine', () => {
  const after = withoutGps(tiffOf([[0x0112, 3, 1, 6 << 16]], false));
  assert.ok(after);
});

test('loops, wild offsets and other byte orders are called damaged', () => {
  const loop = tiffOf([[0x0112, 3, 1, 6 << 16]]);
  new DataView(loop.buffer).setUint32(22, 8);
  assert.equal(withoutGps(loop), null);
  const selfReference = tiffOf([[0x8769, 4, 1, 8]]);
  assert.equal(withoutGps(selfReference), null);
  assert.equal(withoutGps(tiffOf([[0x8825, 4, 1, 4_000_000_000]])), null);
  assert.equal(withoutGps(Uint8Array.from([1, 2, 3])), null);
  assert.equal(withoutGps(new Uint8Array(64)), null);
});

test('any change of a real block is answered without a crash and without growing', async () => {
  const real = await tiffFixture();
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { maxLength: 12 }), (changes) => {
      const bytes = Uint8Array.from(real);
      for (const [at, value] of changes) bytes[at] = value;
      const after = withoutGps(bytes);
      if (after !== null) assert.equal(after.length, bytes.length);
    }),
    { numRuns: 2_000 },
  );
});
