// The null distribution at length: keys × photographs and crops of them. `node null.bench.ts [keys] [folder of photographs]`
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import type { Luma } from '../codec/codec.ts';
import { foldedUpright, nullOverKeys } from './null.fixture.ts';

const KEYS = Number(process.argv[2] ?? 420);
const FOLDER = process.argv[3] ?? fileURLToPath(new URL('../../../../fixtures/photos/', import.meta.url));
/** Crops of one photograph that do not overlap, so that pairs are independent: the four quarters. */
const QUARTERS = [0, 1, 2, 3];

const secret = (name: string): Uint8Array => createHash('sha256').update(name).digest();
const start = performance.now();
const pictures = [];
for (const name of readdirSync(FOLDER).filter((file) => /\.(jpe?g|png|webp)$/i.test(file))) {
  for (const quarter of QUARTERS) pictures.push(foldedUpright(await quarterOf(`${FOLDER}/${name}`, quarter)));
}
const keys = Array.from({ length: KEYS }, (_, i) => ({ tenantId: 'null', version: 1, secret: secret(`null ${i}`) }));
const sync = { version: 1, secret: secret('null sync') };
const { all, pByPicture, pByKey, leastP } = nullOverKeys(pictures, sync, keys, 0x0123456789abcdefn);
const seconds = (performance.now() - start) / 1_000;
process.stdout.write(
  `${JSON.stringify({ pictures: pictures.length, keys: KEYS, ...all, leastP, medianPByPicture: median(pByPicture), medianPByKey: median(pByKey), seconds })}\n`,
);

async function quarterOf(file: string, quarter: number): Promise<Luma> {
  const { width = 0, height = 0 } = await sharp(file).metadata();
  const [w, h] = [Math.floor(width / 2), Math.floor(height / 2)];
  const { data, info } = await sharp(file)
    .extract({ left: (quarter & 1) * w, top: (quarter >> 1) * h, width: w, height: h })
    .resize(1_024, 1_024, { fit: 'inside' })
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: Float32Array.from(data) };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}
