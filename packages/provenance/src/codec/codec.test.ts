// What a picture keeps on its way through decode and encode, what it loses on purpose, and what is refused.
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import { IMAGE_LIMITS, readImageHeader, type ImageHeader } from '../image.ts';
import { decode, decodeLuma, encode, type Pixels } from './codec.ts';
import { exifFixture, gpsOf } from './exif.fixture.ts';
import { readMetadata } from './metadata.ts';

const PHOTO = readFileSync(new URL('../../../../fixtures/photos/dandelion.jpg', import.meta.url));
const WIDTH = 420;
const HEIGHT = 300;
const RAW = await sharp(PHOTO).resize(WIDTH, HEIGHT, { fit: 'cover' }).raw().toBuffer();
const photo = (): Sharp => sharp(RAW, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });

async function through(bytes: Uint8Array, keepGps = false): Promise<Uint8Array> {
  const header = readImageHeader(bytes);
  return encode(await decode(bytes, header), header, readMetadata(bytes, header.format, { keepGps }));
}

const qualityFrom = async (of: number): Promise<number | null> =>
  readImageHeader(await through(await photo().jpeg({ quality: of }).toBuffer())).jpegQuality;
const xmpOf = (inside: string): string =>
  `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">` +
  `<rdf:Description rdf:about="" ${inside}/></rdf:RDF></x:xmpmeta>`;
const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

// what of the header must come out as it went in
const kept = ({
  format,
  width,
  height,
  channels,
  bitDepth,
  orientation,
  lossless,
  chromaSubsampling,
}: ImageHeader) => ({
  format,
  width,
  height,
  channels,
  bitDepth,
  orientation,
  lossless,
  chromaSubsampling,
});

const KINDS: Record<string, () => Sharp> = {
  'JPEG 4:2:0': () => photo().jpeg({ quality: 88 }),
  'JPEG 4:4:4': () => photo().jpeg({ quality: 88, chromaSubsampling: '4:4:4' }),
  'JPEG grey': () => photo().toColourspace('b-w').jpeg(),
  'JPEG progressive': () => photo().jpeg({ progressive: true }),
  PNG: () => photo().png(),
  'PNG grey': () => photo().toColourspace('b-w').png(),
  'PNG 16 bit': () => photo().toColourspace('rgb16').png(),
  'PNG 16 bit grey': () => photo().toColourspace('grey16').png(),
  'PNG alpha': () => photo().ensureAlpha(0.5).png(),
  'WebP lossy': () => photo().webp(),
  'WebP lossy alpha': () => photo().ensureAlpha(0.5).webp(),
  'WebP lossless': () => photo().webp({ lossless: true }),
  'WebP lossless alpha': () => photo().ensureAlpha(0.5).webp({ lossless: true }),
};

for (const [kind, make] of Object.entries(KINDS)) {
  test(`${kind} stays what it is: format, size, channels, depth, subsampling`, async () => {
    const bytes = await make().toBuffer();
    const before = readImageHeader(bytes);
    const after = await through(bytes);
    assert.deepEqual(kept(readImageHeader(after)), kept(before));
    if (!before.lossless) return;
    const [one, other] = await Promise.all([decode(bytes, before), decode(after, readImageHeader(after))]);
    assert.deepEqual(other.data, one.data, 'lossless means lossless');
  });
}

test('the same picture gives the same bytes, every time', async () => {
  for (const make of Object.values(KINDS)) {
    const bytes = await make().toBuffer();
    assert.deepEqual(await through(bytes), await through(bytes));
  }
});

test('a palette becomes colours, and grey with alpha becomes RGBA: the values stay', async () => {
  const palette = await photo().png({ palette: true, colours: 16 }).toBuffer();
  const [before, after] = [await sharp(palette).raw().toBuffer(), await through(palette)];
  assert.deepEqual(await sharp(after).raw().toBuffer(), before);
  assert.equal(readImageHeader(after).palette, false);
  const greyAlpha = await photo().toColourspace('b-w').ensureAlpha(0.5).png().toBuffer();
  assert.equal(readImageHeader(greyAlpha).channels, 2);
  assert.equal(readImageHeader(await through(greyAlpha)).channels, 4);
});

test('JPEG quality is the larger of the estimate of the source and 85', async () => {
  assert.equal(await qualityFrom(60), 85);
  assert.equal(await qualityFrom(85), 85);
  assert.equal(await qualityFrom(93), 93);
  assert.equal(await qualityFrom(100), 100);
});

test('4:2:2 keeps all its chroma as 4:4:4', async () => {
  // sharp cannot write 4:2:2: the sampling factors of a 4:4:4 frame header say so here, the pixels play no part
  const bytes = await photo().jpeg({ chromaSubsampling: '4:4:4' }).toBuffer();
  const frame = bytes.indexOf(Buffer.from([0xff, 0xc0]));
  bytes[frame + 11] = 0x21;
  const header = readImageHeader(bytes);
  assert.equal(header.chromaSubsampling, '4:2:2');
  const pixels = { width: WIDTH, height: HEIGHT, channels: 3 as const, bitDepth: 8 as const, data: RAW };
  const encoded = await encode(pixels, header, readMetadata(bytes, 'jpeg', { keepGps: false }));
  assert.equal(readImageHeader(encoded).chromaSubsampling, '4:4:4');
});

for (const format of ['jpeg', 'png', 'webp'] as const) {
  test(`${format}: ICC and EXIF stay, orientation too, GPS only when asked for`, async () => {
    const source = await photo()
      .withIccProfile('p3')
      .withMetadata({ orientation: 6, exif: exifFixture() })
      .toFormat(format)
      .toBuffer();
    assert.equal(readImageHeader(source).orientation, 6, 'the fixture itself');
    assert.ok(await gpsOf(source), 'the fixture itself');
    const before = await sharp(source).metadata();
    for (const keepGps of [false, true]) {
      const bytes = await through(source, keepGps);
      const after = await sharp(bytes).metadata();
      assert.deepEqual(after.icc, before.icc);
      assert.equal(after.orientation, 6);
      assert.equal(after.exif?.length, before.exif?.length);
      assert.ok(after.exif?.includes('A. Photographer'));
      assert.equal(await gpsOf(bytes), keepGps);
      if (keepGps) assert.deepEqual(after.exif, before.exif);
      const { width, height } = readImageHeader(bytes);
      assert.deepEqual([width, height], [WIDTH, HEIGHT], 'pixels are not turned');
    }
  });
}

test('the colours of a picture with a profile are not converted', async () => {
  const source = await photo().withIccProfile('p3').png().toBuffer();
  const stored = await sharp(source, { ignoreIcc: true }).raw().toBuffer();
  assert.deepEqual((await decode(source, readImageHeader(source))).data, stored);
});

test('XMP stays unless it tells a place', async () => {
  const rights = 'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:rights="all ours"';
  const place = 'xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="51,30N"';
  for (const format of ['jpeg', 'png', 'webp'] as const) {
    const has = async (inside: string, keepGps: boolean): Promise<boolean> => {
      const source = await photo().withXmp(xmpOf(inside)).toFormat(format).toBuffer();
      const { xmp: found } = await sharp(await through(source, keepGps)).metadata();
      return found !== undefined;
    };
    assert.equal(await has(rights, false), true, format);
    assert.equal(await has(place, false), false, format);
    assert.equal(await has(place, true), true, format);
  }
});

test('pixels that end early are an error for decoding at any size', async () => {
  for (const format of ['jpeg', 'png', 'webp'] as const) {
    const bytes = await photo().toFormat(format).toBuffer();
    const cut = bytes.subarray(0, bytes.length >> 1);
    const header = readImageHeader(cut);
    await assert.rejects(decode(cut, header), { name: 'ImageError', code: 'VALIDATION_FAILED' }, format);
    await assert.rejects(decodeLuma(cut, 200, 150), { code: 'VALIDATION_FAILED' }, format);
  }
});

test('formats that are not ours have no decoder, whoever calls', async () => {
  const gif = await photo().gif().toBuffer();
  await assert.rejects(decodeLuma(gif, 200, 150), { code: 'VALIDATION_FAILED' });
  await assert.rejects(
    sharp(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')).png().toBuffer(),
  );
});

test('luma is BT.601 at the size asked for, alpha over white, CMYK included', async () => {
  const colour = { r: 200, g: 40, b: 90 };
  const flat = sharp({ create: { width: 300, height: 300, channels: 3, background: colour } });
  const expected = 0.299 * 200 + 0.587 * 40 + 0.114 * 90;
  const { data, width, height } = await decodeLuma(await flat.png().toBuffer(), 64, 32);
  assert.deepEqual([width, height, data.length], [64, 32, 2048]);
  for (const value of data) assert.ok(Math.abs(value - expected) < 0.6, `${value}`);
  const clear = { create: { width: 300, height: 300, channels: 4 as const, background: { ...colour, alpha: 0 } } };
  const seen = await decodeLuma(await sharp(clear).png().toBuffer(), 64, 32);
  assert.ok(seen.data.every((value) => value === 255));
  const cmyk = await decodeLuma(await photo().toColourspace('cmyk').jpeg().toBuffer(), 64, 32);
  const rgb = await decodeLuma(await photo().png().toBuffer(), 64, 32);
  assert.ok(Math.abs(mean(cmyk.data) - mean(rgb.data)) < 12);
});

test('a JPEG that would be too large to be verified is encoded smaller, not below quality 85', async () => {
  const side = 3_600;
  const data = new Uint8Array(side * side * 3);
  // nothing compresses worse than noise
  for (let i = 0; i < data.length; i += 65_536) webcrypto.getRandomValues(data.subarray(i, i + 65_536));
  const pixels: Pixels = { width: side, height: side, channels: 3, bitDepth: 8, data };
  const tiny = await sharp(data.subarray(0, 192), { raw: { width: 8, height: 8, channels: 3 } })
    .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
    .toBuffer();
  const encoded = await encode(pixels, readImageHeader(tiny), readMetadata(tiny, 'jpeg', { keepGps: false }));
  const { jpegQuality, width } = readImageHeader(encoded);
  assert.equal(width, side);
  assert.ok(encoded.length <= IMAGE_LIMITS.maxBytes - 1_048_576, String(encoded.length));
  assert.ok(jpegQuality !== null && jpegQuality >= 85 && jpegQuality < 100, String(jpegQuality));
});
