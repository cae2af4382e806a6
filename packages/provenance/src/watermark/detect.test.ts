import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { shrinkToJpeg } from '../codec/alter.ts';
import { decode, decodeLuma, encode, type Luma } from '../codec/codec.ts';
import { readMetadata } from '../codec/metadata.ts';
import { readImageHeader } from '../image.ts';
import { detectKnown, evidence, log10pOf, statistic, verdictOf } from './detect.ts';
import { markPixels } from './mark.ts';
import { canonicalSize } from './transform.ts';

const FOLDER = new URL('../../../../fixtures/photos/', import.meta.url);
const PHOTOS = readdirSync(FOLDER).filter((name) => name.endsWith('.jpg'));
const keyOf = (text: string): Uint8Array => createHash('sha256').update(text).digest();

async function marked(
  name: string,
): Promise<{ original: Buffer; file: Uint8Array; size: { width: number; height: number }; psnr: number }> {
  const original = readFileSync(new URL(name, FOLDER));
  const header = readImageHeader(original);
  const pixels = await decode(original, header);
  const before = Uint8Array.from(pixels.data);
  await markPixels(pixels, keyOf(name));
  let squares = 0;
  for (let i = 0; i < before.length; i++) squares += ((before[i] as number) - (pixels.data[i] as number)) ** 2;
  const file = await encode(pixels, header, readMetadata(original, header.format, { keepGps: false }));
  const psnr = 10 * Math.log10((255 * 255 * before.length) / squares);
  return { original, file, size: canonicalSize(header), psnr };
}

const read = (file: Uint8Array, size: { width: number; height: number }): Promise<Luma> =>
  decodeLuma(file, size.width, size.height);

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
  const { default: sharp } = await import('sharp');
  const { file, size } = await marked('sunset.jpg');
  for (const degrees of [90, 180, 270]) {
    const turned = await sharp(file).rotate(degrees).jpeg({ quality: 85 }).toBuffer();
    assert.equal(detectKnown(await read(turned, size), keyOf('sunset.jpg')).verdict, 'DETECTED', `${degrees}°`);
  }
});

test('on unmarked photographs the statistic is standard normal over keys', async (t) => {
  const KEYS = 2_000;
  const values: number[] = [];
  for (const name of PHOTOS) {
    const bytes = readFileSync(new URL(name, FOLDER));
    const found = evidence(await read(bytes, canonicalSize(readImageHeader(bytes))));
    for (let i = 0; i < KEYS; i++) values.push(statistic(found, keyOf(`null ${name} ${i}`)));
  }
  const mean = values.reduce((sum, z) => sum + z, 0) / values.length;
  const sd = Math.sqrt(values.reduce((sum, z) => sum + (z - mean) ** 2, 0) / values.length);
  const p = kolmogorovP(values);
  t.diagnostic(`n ${values.length}, mean ${mean.toFixed(4)}, sd ${sd.toFixed(4)}, KS p ${p.toFixed(3)}`);
  assert.ok(values.length >= 10_000);
  assert.ok(Math.abs(mean) < 0.04, `mean ${mean}`);
  assert.ok(sd > 0.97 && sd < 1.03, `sd ${sd}`);
  assert.ok(p > 0.01, `KS p ${p}`);
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

/** Two-sided Kolmogorov–Smirnov test against the standard normal; asymptotic series of the Kolmogorov distribution. */
function kolmogorovP(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  let distance = 0;
  for (const [i, z] of sorted.entries()) {
    const cdf = normalCdf(z);
    distance = Math.max(distance, Math.abs(cdf - i / n), Math.abs((i + 1) / n - cdf));
  }
  const x = (Math.sqrt(n) + 0.12 + 0.11 / Math.sqrt(n)) * distance;
  let sum = 0;
  for (let k = 1; k <= 100; k++) sum += 2 * (-1) ** (k - 1) * Math.exp(-2 * k * k * x * x);
  return Math.min(1, Math.max(0, sum));
}

/** Abramowitz and Stegun 7.1.26: error below 1.5e-7. */
function normalCdf(z: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(z)) / Math.SQRT2);
  const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const half = 0.5 * poly * Math.exp((-z * z) / 2);
  return z > 0 ? 1 - half : half;
}
