// Whose picture is this? From the pixels alone, among those that may be named, and with a bound that pays for all of them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { testRoom, type TestRoom } from './fixtures/room.ts';
import { identify, identifyAmong } from './identify.ts';
import { protect, type ProtectedImage } from './protect.ts';

const { signal } = new AbortController();

let room: TestRoom;
let ours: string;
let theirs: string;
let jpeg: Buffer;
let made: ProtectedImage;
/** Shrunk, turned a little and saved again, all metadata gone. */
let found: Buffer;

before(async () => {
  room = await testRoom();
  [ours, theirs] = [await room.newTenant(), await room.newTenant()];
  jpeg = await readFile(new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url));
  made = await protectAs(ours);
  found = await sharp(made.image).resize(1_000).rotate(4, { background: '#fff' }).jpeg({ quality: 70 }).toBuffer();
});

after(() => room.close());

const callerOf = (tenantId: string) => ({ tenantId, actor: 'key:test', requestId: 'test' });
const upload = (bytes: Uint8Array) => ({ bytes: new Uint8Array(bytes) });

function protectAs(tenantId: string): Promise<ProtectedImage> {
  const sha256 = createHash('sha256').update(jpeg).digest();
  const request = { contentHash: sha256.toString('hex'), deviceModel: 'x' };
  return protect(room, callerOf(tenantId), { bytes: new Uint8Array(jpeg), sha256 }, request, null, signal);
}

test('a picture without metadata, smaller and turned, names its photo', async () => {
  const { photoId, watermark } = await identify(room, callerOf(ours), upload(found), signal);
  assert.equal(photoId, made.photoId);
  assert.equal(watermark.status, 'DETECTED');
  assert.ok(watermark.z >= 12.5 && watermark.log10p <= -9, JSON.stringify(watermark));
});

test('it is nobody’s to another tenant, and so is a picture without a mark', async () => {
  for (const [tenantId, picture] of [
    [theirs, found],
    [ours, jpeg],
  ] as const) {
    const { photoId, watermark } = await identify(room, callerOf(tenantId), upload(picture), signal);
    assert.deepEqual([photoId, watermark.status, watermark.z, watermark.log10p], [null, 'NOT_FOUND', 0, 0]);
  }
});

test('among several tenants the right one is named, and the bound pays for each', async () => {
  const alone = await identifyAmong(room, [ours], upload(found), signal);
  const both = await identifyAmong(room, [theirs, ours], upload(found), signal);
  assert.equal(both.photoId, made.photoId);
  assert.equal(both.watermark.attempts, 2 * alone.watermark.attempts);
  assert.ok(both.watermark.log10p > alone.watermark.log10p);
});

test('a photo is still named after its key was rotated, and no more once that version is retired', async () => {
  assert.equal(await room.watermarkKeys.rotate(ours), 2);
  assert.equal((await identify(room, callerOf(ours), upload(found), signal)).photoId, made.photoId);
  const newer = await protectAs(ours);
  assert.equal((await identify(room, callerOf(ours), upload(newer.image), signal)).photoId, newer.photoId);
  await room.watermarkKeys.retire(ours, 1);
  assert.equal((await identify(room, callerOf(ours), upload(found), signal)).photoId, null);
  assert.equal((await identify(room, callerOf(ours), upload(newer.image), signal)).photoId, newer.photoId);
  await assert.rejects(room.watermarkKeys.retire(ours, 2), { code: 'KEY_UNKNOWN_VERSION' });
});

test('what does not decode is refused', async () => {
  const cut = found.subarray(0, found.length >> 1);
  await assert.rejects(identify(room, callerOf(ours), upload(cut), signal), { code: 'VALIDATION_FAILED' });
});
