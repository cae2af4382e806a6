import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import sharp from 'sharp';
import { decode, decodeLuma, encode, type Pixels } from '../codec/codec.ts';
import { readMetadata } from '../codec/metadata.ts';
import { readImageHeader } from '../image.ts';
import { detect, MAX_PAYLOAD_KEYS, type DetectRequest, type Detection } from './find.ts';
import { lookedAtSize } from './frame.ts';
import { graphics } from './graphics.fixture.ts';
import type { PayloadKey, SyncKey } from './keys.ts';
import { markPixels } from './strength.ts';

const FOLDER = new URL('../../../../fixtures/photos/', import.meta.url);
const PHOTOS = readdirSync(FOLDER).filter((name) => name.endsWith('.jpg'));
const secret = (text: string): Uint8Array => createHash('sha256').update(text).digest();
const SYNC: SyncKey = { version: 1, secret: secret('sync') };
const PAYLOAD: PayloadKey = { tenantId: 'one', version: 1, secret: secret('payload') };
const OTHER: PayloadKey = { tenantId: 'two', version: 1, secret: secret('other payload') };
const KEYS = { sync: SYNC, payload: PAYLOAD };
const idOf = (name: string): bigint => createHash('sha256').update(name).digest().readBigUInt64BE();

interface Marked {
  name: string;
  id: bigint;
  original: Buffer;
  file: Buffer;
  psnr: number;
}

async function mark(bytes: Buffer, name: string): Promise<Marked> {
  const header = readImageHeader(bytes);
  const pixels = await decode(bytes, header);
  const untouched = Uint8Array.from(pixels.data);
  await markPixels(pixels, KEYS, idOf(name), header);
  let squares = 0;
  for (let i = 0; i < untouched.length; i++) squares += ((untouched[i] as number) - (pixels.data[i] as number)) ** 2;
  const psnr = 10 * Math.log10((255 * 255 * untouched.length) / squares);
  const file = await encode(pixels, header, readMetadata(bytes, header.format, { keepGps: false }));
  return { name, id: idOf(name), original: bytes, file: Buffer.from(file), psnr };
}

async function look(file: Uint8Array, request: Partial<DetectRequest> = {}): Promise<Detection> {
  const received = readImageHeader(file);
  const { width, height } = lookedAtSize(received);
  const luma = await decodeLuma(file, width, height);
  return detect(luma, { syncs: [SYNC], payloads: [PAYLOAD], received, depth: 'full', ...request });
}

let marked: Marked[];
before(async () => {
  marked = [];
  for (const name of PHOTOS) marked.push(await mark(readFileSync(new URL(name, FOLDER)), name));
});

const one = (name: string): Marked => marked.find((photo) => photo.name === name) as Marked;

test('photographs are marked at 45 dB on the mean and 41 dB at least', (t) => {
  const all = marked.map(({ psnr }) => psnr);
  const mean = all.reduce((sum, psnr) => sum + psnr, 0) / all.length;
  t.diagnostic(`mean ${mean.toFixed(2)} dB, least ${Math.min(...all).toFixed(2)} dB`);
  assert.ok(mean >= 45, `mean ${mean}`);
  assert.ok(Math.min(...all) >= 41, `least ${Math.min(...all)}`);
});

const JOURNEYS: Readonly<Record<string, (file: Buffer) => Promise<Buffer>>> = {
  'nothing happened': (file) => Promise.resolve(file),
  'JPEG 50': (file) => sharp(file).jpeg({ quality: 50 }).toBuffer(),
  'WebP 50': (file) => sharp(file).webp({ quality: 50 }).toBuffer(),
  '640 px, JPEG 60': (file) => sharp(file).resize(640, 640, { fit: 'inside' }).jpeg({ quality: 60 }).toBuffer(),
  'a quarter turn': (file) => sharp(file).rotate(90).jpeg({ quality: 85 }).toBuffer(),
  'a mirror': (file) => sharp(file).flop().jpeg({ quality: 85 }).toBuffer(),
  'its negative': (file) => sharp(file).negate().jpeg({ quality: 80 }).toBuffer(),
  'its negative, a quarter turn': (file) => sharp(file).negate().rotate(90).jpeg({ quality: 80 }).toBuffer(),
  grey: (file) => sharp(file).greyscale().jpeg({ quality: 80 }).toBuffer(),
  'a turn of 5 degrees': (file) => sharp(file).rotate(5, { background: '#fff' }).jpeg({ quality: 80 }).toBuffer(),
};

for (const [what, journey] of Object.entries(JOURNEYS)) {
  test(`the id of every photograph is read blindly: ${what}`, async () => {
    for (const { name, id, file } of marked) {
      const { blind } = await look(await journey(file));
      assert.equal(blind?.id, id, name);
      assert.deepEqual([blind?.tenantId, blind?.version], ['one', 1]);
    }
  });
}

test('the id is read from a part, at another aspect, and inside another picture', async () => {
  const { file, id } = one('sunset.jpg');
  const { width, height } = readImageHeader(file);
  const part = { left: width >> 3, top: height >> 3, width: (width * 5) >> 3, height: (height * 5) >> 3 };
  const pasted = await sharp(file).resize(900).png().toBuffer();
  const pictures = {
    crop: await sharp(file).extract(part).jpeg({ quality: 80 }).toBuffer(),
    aspect: await sharp(file)
      .resize(Math.round(width * 0.92), height, { fit: 'fill' })
      .jpeg({ quality: 85 })
      .toBuffer(),
    collage: await sharp({ create: { width: 1_500, height: 1_200, channels: 3, background: '#86a' } })
      .composite([{ input: pasted, left: 200, top: 300 }])
      .jpeg({ quality: 85 })
      .toBuffer(),
  };
  for (const [what, picture] of Object.entries(pictures)) {
    const { blind, kind } = await look(picture);
    assert.equal(blind?.id, id, what);
    assert.equal(kind, 'moved', what);
  }
});

test('nothing is found without a mark, with another tenant’s key, and with another installation’s lines', async () => {
  for (const { file, original, id } of marked.slice(0, 1)) {
    const stranger = { version: 1, secret: secret('another installation') };
    for (const [picture, request] of [
      [original, {}],
      [file, { payloads: [OTHER] }],
      [file, { syncs: [stranger] }],
    ] as const) {
      const found = await look(picture, { ...request, known: { id, payloads: [OTHER] } });
      assert.equal(found.blind, null);
      assert.equal(found.known?.verdict, 'NOT_FOUND');
    }
  }
});

test('asked for another photo of the same tenant, the answer is the photo that it is', async () => {
  const { file, id } = one('dandelion.jpg');
  const { blind, known } = await look(file, { known: { id: id ^ 1n, payloads: [PAYLOAD] } });
  assert.equal(blind?.id, id);
  assert.equal(known?.verdict, 'NOT_FOUND');
});

test('graphics and gradients carry a mark through JPEG 75', async (t) => {
  for (const [name, picture] of Object.entries(await graphics())) {
    const made = await mark(picture, name).catch((error: unknown) => error as Error & { code?: string });
    if (made instanceof Error) {
      // a picture that cannot carry 64 bits is refused, never given out unmarked
      assert.equal(made.code, 'VALIDATION_FAILED', name);
      t.diagnostic(`${name}: refused`);
      continue;
    }
    const { blind } = await look(await sharp(made.file).flatten().jpeg({ quality: 75 }).toBuffer());
    assert.equal(blind?.id, made.id, name);
  }
});

test('16-bit grey, alpha and pictures of 256 pixels carry a mark; smaller ones are refused', async () => {
  const { original } = one('fig-bowl.jpg');
  const deep = await sharp(original).greyscale().toColourspace('grey16').png().toBuffer();
  const clear = await sharp(original).resize(700).ensureAlpha(0.5).png().toBuffer();
  const tiny = await sharp(original).resize(256, 256, { fit: 'cover' }).png().toBuffer();
  for (const [what, picture] of Object.entries({ deep, clear, tiny })) {
    const { file, id } = await mark(picture, what);
    assert.equal((await look(file)).blind?.id, id, what);
  }
  const smaller = await sharp(original).resize(200, 200, { fit: 'cover' }).png().toBuffer();
  await assert.rejects(mark(smaller, 'smaller'), { code: 'VALIDATION_FAILED' });
});

test('pixels that are fully transparent stay, and so does alpha', async () => {
  const { data, info } = await sharp(one('fig-bowl.jpg').original)
    .resize(400)
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  for (let i = 3; i < data.length; i += 4) data[i] = i % 28 === 3 ? 0 : 200;
  const pixels: Pixels = { width: info.width, height: info.height, channels: 4, bitDepth: 8, data: Buffer.from(data) };
  await markPixels(pixels, KEYS, 9n, { format: 'png', lossless: true });
  let changed = 0;
  for (let i = 0; i < data.length; i += 4) {
    assert.equal(pixels.data[i + 3], data[i + 3]);
    if (data[i + 3] === 0) assert.deepEqual([...pixels.data.subarray(i, i + 3)], [...data.subarray(i, i + 3)]);
    else if (pixels.data[i] !== data[i]) changed++;
  }
  assert.ok(changed > 1_000);
});

test('marking is deterministic, and another id makes another picture', async () => {
  const { original, file } = one('fig-bowl.jpg');
  assert.deepEqual((await mark(original, 'fig-bowl.jpg')).file, file);
  assert.notDeepEqual((await mark(original, 'another')).file, file);
});

test('a search can be ended between its steps, and more keys than the bound pays for are refused', async () => {
  const stop = new Error('enough');
  const onStep = (): void => {
    throw stop;
  };
  const { original } = one('dandelion.jpg');
  await assert.rejects(look(original, { onStep }), stop);
  const payloads = Array.from({ length: MAX_PAYLOAD_KEYS + 1 }, (_, version) => ({ ...PAYLOAD, version }));
  await assert.rejects(look(original, { payloads }), RangeError);
  await assert.rejects(look(original, { syncs: Array.from({ length: 4 }, () => SYNC) }), RangeError);
});
