import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import sharp from 'sharp';
import { shrinkToJpeg } from '../codec/alter.ts';
import { decode, decodeLuma, encode, type Luma } from '../codec/codec.ts';
import { readMetadata } from '../codec/metadata.ts';
import { readImageHeader, type ImageHeader } from '../image.ts';
import { detectInFile, detectKnown, log10pOf, statistic, verdictOf } from './detect.ts';
import { evidence } from './evidence.ts';
import { graphics } from './graphics.fixture.ts';
import { markPixels } from './mark.ts';
import { normality } from './normality.fixture.ts';
import { canonicalSize, type FrameSize } from './transform.ts';

const FOLDER = new URL('../../../../fixtures/photos/', import.meta.url);
const PHOTOS = readdirSync(FOLDER).filter((name) => name.endsWith('.jpg'));
const keyOf = (text: string): Uint8Array => createHash('sha256').update(text).digest();

async function marked(
  name: string,
): Promise<{ original: Buffer; header: ImageHeader; file: Uint8Array; size: FrameSize; psnr: number }> {
  const original = readFileSync(new URL(name, FOLDER));
  const header = readImageHeader(original);
  const pixels = await decode(original, header);
  const before = Uint8Array.from(pixels.data);
  await markPixels(pixels, keyOf(name));
  let squares = 0;
  for (let i = 0; i < before.length; i++) squares += ((before[i] as number) - (pixels.data[i] as number)) ** 2;
  const file = await encode(pixels, header, readMetadata(original, header.format, { keepGps: false }));
  const psnr = 10 * Math.log10((255 * 255 * before.length) / squares);
  return { original, header, file, size: canonicalSize(header), psnr };
}

const read = (file: Uint8Array, size: FrameSize): Promise<Luma> => decodeLuma(file, size.width, size.height);

/** The part that begins at a tenth of the width and a fifth of the height, both sides times `share`, as JPEG 85. */
async function cropOf(file: Uint8Array, share: number): Promise<Buffer> {
  const { width, height } = readImageHeader(file);
  return sharp(file)
    .extract({
      left: Math.round(width * 0.1),
      top: Math.round(height * 0.2),
      width: Math.round(width * share),
      height: Math.round(height * share),
    })
    .jpeg({ quality: 85 })
    .toBuffer();
}

test('every photograph carries its mark at 46 dB and more, and through 1080 px with JPEG 75', async (t) => {
  const all: number[] = [];
  for (const name of PHOTOS) {
    const { original, file, size, psnr } = await marked(name);
    all.push(psnr);
    const untouched = detectKnown(await read(file, size), keyOf(name));
    const degraded = detectKnown(await read(await shrinkToJpeg(file, 1080, 75), size), keyOf(name));
    t.diagnostic(`${name}: ${psnr.toFixed(1)} dB, z ${untouched.z.toFixed(1)}, degraded ${degraded.z.toFixed(1)}`);
    assert.equal(untouched.verdict, 'DETECTED', name);
    assert.equal(degraded.verdict, 'DETECTED', name);
    assert.equal(detectKnown(await read(file, size), keyOf('another photo')).verdict, 'NOT_FOUND', 'a wrong key');
    assert.equal(detectKnown(await read(original, size), keyOf(name)).verdict, 'NOT_FOUND', 'unmarked');
  }
  const mean = all.reduce((sum, psnr) => sum + psnr, 0) / all.length;
  assert.ok(mean >= 46, `mean ${mean.toFixed(2)} dB`);
  assert.ok(Math.min(...all) >= 44, `worst ${Math.min(...all).toFixed(2)} dB`);
});

test('a picture that was turned upright by its EXIF orientation still carries its mark', async () => {
  const { file, size } = await marked('sunset.jpg');
  for (const degrees of [90, 180, 270]) {
    const turned = await sharp(file).rotate(degrees).jpeg({ quality: 85 }).toBuffer();
    assert.equal(detectKnown(await read(turned, size), keyOf('sunset.jpg')).verdict, 'DETECTED', `${degrees}°`);
  }
});

test('on unmarked photographs and their crops the statistic is standard normal over keys', async (t) => {
  const KEYS = 1_000;
  const values: number[] = [];
  for (const name of PHOTOS) {
    const bytes = readFileSync(new URL(name, FOLDER));
    for (const [part, picture] of [bytes, await cropOf(bytes, 0.45)].entries()) {
      const found = evidence(await read(picture, canonicalSize(readImageHeader(picture))));
      for (let i = 0; i < KEYS; i++) values.push(statistic(found, keyOf(`null ${name} ${part} ${i}`)));
    }
  }
  const seen = normality(values);
  t.diagnostic(JSON.stringify(seen));
  assert.ok(seen.n >= 10_000);
  assert.ok(Math.abs(seen.mean) < 0.04, `mean ${seen.mean}`);
  assert.ok(seen.sd > 0.97 && seen.sd < 1.03, `sd ${seen.sd}`);
  assert.ok(seen.ksP > 0.01, `KS p ${seen.ksP}`);
});

test('the z that is answered for other keys is standard normal too: no maximum over orientations hides in it', async () => {
  const { file, size } = await marked('dandelion.jpg');
  const luma = await read(await shrinkToJpeg(file, 320, 75), { width: size.width >> 2, height: size.height >> 2 });
  const values = Array.from({ length: 300 }, (_, i) => detectKnown(luma, keyOf(`other ${i}`)).z);
  const { mean, sd } = normality(values);
  assert.ok(Math.abs(mean) < 0.25, `mean ${mean}`);
  assert.ok(sd > 0.85 && sd < 1.15, `sd ${sd}`);
});

test('the mark is found at 640 px with JPEG 60, in a screenshot, and after WebP', async () => {
  for (const name of PHOTOS) {
    const { file, size } = await marked(name);
    const journeys: Record<string, Promise<Uint8Array>> = {
      '640 px, JPEG 60': shrinkToJpeg(file, 640, 60),
      'JPEG 30': shrinkToJpeg(file, 4_000, 30),
      screenshot: sharp(file).resize(1_366, 1_366, { fit: 'inside', withoutEnlargement: true }).png().toBuffer(),
      'WebP 50': sharp(file).webp({ quality: 50 }).toBuffer(),
    };
    for (const [journey, made] of Object.entries(journeys)) {
      const { verdict, z } = detectKnown(await read(await made, size), keyOf(name));
      assert.equal(verdict, 'DETECTED', `${name}, ${journey}: z ${z}`);
    }
  }
});

test('a crop to half the area is found where it was cut, and not with another key', async () => {
  for (const name of ['sunset.jpg', 'dogs-portrait.jpg']) {
    const { file, size, header } = await marked(name);
    const cut = await cropOf(file, 0.7);
    const found = await detectInFile(cut, await read(cut, size), readImageHeader(cut), header, keyOf(name));
    assert.equal(found.verdict, 'DETECTED', `${name}: z ${found.z}`);
    assert.equal(found.alignment, 'cropped');
    assert.ok(found.crop);
    for (const [side, expected] of Object.entries({ left: 0.1, top: 0.2, width: 0.7, height: 0.7 })) {
      assert.ok(Math.abs(found.crop[side as keyof typeof found.crop] - expected) < 0.01, `${name}: ${side}`);
    }
    const other = await detectInFile(cut, await read(cut, size), readImageHeader(cut), header, keyOf('other'));
    assert.equal(other.verdict, 'NOT_FOUND');
  }
});

test('the bound pays for every offset of a crop', () => {
  assert.ok(log10pOf(9, 1_000_000) > log10pOf(9) + 4.9);
});

test('graphics, gradients, flat and small pictures carry a mark through JPEG 75, in every format', async (t) => {
  for (const [name, picture] of Object.entries(await graphics())) {
    const header = readImageHeader(picture);
    const pixels = await decode(picture, header);
    const { gain } = await markPixels(pixels, keyOf(name), header);
    const file = await encode(pixels, header, readMetadata(picture, header.format, { keepGps: false }));
    const size = canonicalSize(header);
    const own = detectKnown(await read(file, size), keyOf(name));
    const degraded = detectKnown(await read(await shrinkToJpeg(file, 1_080, 75), size), keyOf(name));
    t.diagnostic(`${name}: gain ${gain}, z ${own.z.toFixed(1)}, after JPEG 75 ${degraded.z.toFixed(1)}`);
    assert.equal(own.verdict, 'DETECTED', name);
    assert.equal(degraded.verdict, 'DETECTED', name);
    assert.equal(detectKnown(await read(picture, size), keyOf(name)).verdict, 'NOT_FOUND', `${name}, unmarked`);
  }
});

test('marking is deterministic, and another key makes another mark', async () => {
  const picture = readFileSync(new URL('fig-bowl.jpg', FOLDER));
  const header = readImageHeader(picture);
  const mark = async (key: string): Promise<Uint8Array | Uint16Array> => {
    const pixels = await decode(picture, header);
    await markPixels(pixels, keyOf(key));
    return pixels.data;
  };
  const first = await mark('one');
  assert.deepEqual(await mark('one'), first);
  assert.notDeepEqual(await mark('two'), first);
});

test('fully transparent pixels and alpha stay untouched', async () => {
  const photo = sharp(readFileSync(new URL('sunset.jpg', FOLDER))).resize(400, 300, { fit: 'cover' });
  const raw = await photo.ensureAlpha().raw().toBuffer();
  for (let i = 0; i < 400 * 100; i++) raw[i * 4 + 3] = 0;
  const pixels = { width: 400, height: 300, channels: 4 as const, bitDepth: 8 as const, data: Uint8Array.from(raw) };
  await markPixels(pixels, keyOf('alpha'));
  assert.deepEqual(pixels.data.subarray(0, 400 * 100 * 4), Uint8Array.from(raw.subarray(0, 400 * 100 * 4)));
  assert.ok(pixels.data.every((value, i) => i % 4 !== 3 || value === raw[i]));
  assert.notDeepEqual(pixels.data, Uint8Array.from(raw));
});

test('the verdicts begin where the corrected bound says', () => {
  assert.equal(verdictOf(log10pOf(6.8)), 'DETECTED');
  assert.equal(verdictOf(log10pOf(6.7)), 'MARGINAL');
  assert.equal(verdictOf(log10pOf(4.8)), 'MARGINAL');
  assert.equal(verdictOf(log10pOf(4.7)), 'NOT_FOUND');
  assert.equal(log10pOf(-3), 0);
  assert.equal(log10pOf(Number.NaN), 0);
});

test('a picture without any structure has no evidence and no verdict', () => {
  const flat = { width: 512, height: 512, data: new Float32Array(512 * 512).fill(128) };
  assert.equal(detectKnown(flat, keyOf('flat')).verdict, 'NOT_FOUND');
});
