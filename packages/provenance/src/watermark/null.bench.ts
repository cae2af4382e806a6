// The null distribution at length: keys × unmarked photographs and crops of them. `node null.bench.ts [keys per picture]`
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import sharp from 'sharp';
import { decodeLuma } from '../codec/codec.ts';
import { readImageHeader } from '../image.ts';
import { statistic } from './detect.ts';
import { evidence } from './evidence.ts';
import { normality } from './normality.fixture.ts';
import { canonicalSize } from './transform.ts';

const FOLDER = new URL('../../../../fixtures/photos/', import.meta.url);
const KEYS = Number(process.argv[2] ?? 1_000);
const SHARES = [1, 0.7, 0.45, 0.3];

const values: number[] = [];
for (const name of readdirSync(FOLDER)) {
  const bytes = readFileSync(new URL(name, FOLDER));
  for (const share of SHARES) {
    const found = await evidenceOf(await part(bytes, share));
    for (let i = 0; i < KEYS; i++) {
      values.push(statistic(found, createHash('sha256').update(`${name} ${share} ${i}`).digest()));
    }
  }
  process.stderr.write(`${name}: ${values.length} pairs\n`);
}
process.stdout.write(`${JSON.stringify(normality(values))}\n`);

async function part(bytes: Buffer, share: number): Promise<Buffer> {
  const { width, height } = readImageHeader(bytes);
  const region = {
    left: Math.floor((width * (1 - share)) / 2),
    top: Math.floor((height * (1 - share)) / 3),
    width: Math.floor(width * share),
    height: Math.floor(height * share),
  };
  return sharp(bytes).extract(region).jpeg({ quality: 85 }).toBuffer();
}

async function evidenceOf(bytes: Buffer): Promise<Float32Array> {
  const { width, height } = canonicalSize(readImageHeader(bytes));
  return evidence(await decodeLuma(bytes, width, height));
}
