// Pictures for people to look at: original, marked, the difference times 8, and the worst 64×64 patch of both, enlarged.
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { markPixels } from '../../packages/provenance/src/watermark/strength.ts';
import { corpus } from './corpus.ts';
import { psnr, toSharp, cropTo, mapSamples, type Raster } from './raster.ts';
import { worstPatch } from './measures.ts';
import { idOf, load, PAYLOAD, SYNC } from './worker.ts';

const SHOWN = 6;
const [WIDTH, HEIGHT, PATCH] = [480, 320, 160];
const folder = fileURLToPath(new URL('../results/watermark/', import.meta.url));
mkdirSync(folder, { recursive: true });

const photos = corpus('heldout');
const lines = [
  '# The mark at 1×',
  '',
  'Left to right: original, marked, their difference times 8 around grey, and the worst 64×64 patch of the whole photograph',
  '(original above, marked below, 2.5×). Photographs of Debian packages, named with their licences in `debian/copyright` there.',
  '',
];
for (let shown = 0; shown < SHOWN; shown++) {
  const photo = photos[Math.floor((shown * photos.length) / SHOWN)];
  if (photo === undefined) break;
  const name = `${shown + 1}.jpg`;
  const text = await show(photo.path, `${folder}${name}`);
  lines.push(`## ${photo.package}: ${photo.file.split('/').slice(-3).join('/')}`, '', text, '', `![](${name})`, '');
}
writeFileSync(`${folder}README.md`, lines.join('\n'));

async function show(path: string, to: string): Promise<string> {
  const original = await load(path, 'full');
  const pixels = { ...original, channels: 3 as const, bitDepth: 8 as const, data: Uint8Array.from(original.data) };
  const options = { format: 'jpeg', lossless: false } as const;
  const { gain } = await markPixels(pixels, { sync: SYNC, payload: PAYLOAD }, idOf(path), options);
  const marked: Raster = { width: original.width, height: original.height, data: pixels.data };
  const worst = worstPatch(original, marked);
  const [left, top] = [
    Math.max(0, Math.min(original.width - WIDTH, worst.left - WIDTH / 2)),
    Math.max(0, Math.min(original.height - HEIGHT, worst.top - HEIGHT / 2)),
  ];
  const view = (picture: Raster): Raster => cropTo(picture, left, top, WIDTH, HEIGHT);
  const [before, after] = [view(original), view(marked)];
  let at = 0;
  const difference = mapSamples(after, (value) => 128 + 8 * (value - (before.data[at++] as number)));
  const patch = (picture: Raster): Promise<Buffer> =>
    toSharp(cropTo(picture, worst.left, worst.top, 64, 64))
      .resize(PATCH, PATCH, { kernel: 'nearest' })
      .png()
      .toBuffer();
  const tiles = await Promise.all([before, after, difference].map((picture) => toSharp(picture).png().toBuffer()));
  await sharp({ create: { width: 3 * WIDTH + PATCH, height: HEIGHT, channels: 3, background: '#fff' } })
    .composite([
      ...tiles.map((input, i) => ({ input, left: i * WIDTH, top: 0 })),
      { input: await patch(original), left: 3 * WIDTH, top: 0 },
      { input: await patch(marked), left: 3 * WIDTH, top: HEIGHT - PATCH },
    ])
    .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
    .toFile(to);
  return `PSNR ${psnr(original, marked).toFixed(1)} dB, gain ${gain.toFixed(2)}, worst patch ${worst.psnr.toFixed(1)} dB.`;
}
