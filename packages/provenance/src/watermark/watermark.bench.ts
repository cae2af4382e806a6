// How long each step takes for a camera photograph of 12 megapixels on one thread, beside sharp alone on the same file.
import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { cameraLikeJpeg } from '../../../../bench/camera.ts';
import { quantile, round } from '../../../../bench/report.ts';
import { decode, decodeLuma, encode, jpegQualityFor } from '../codec/codec.ts';
import { readMetadata } from '../codec/metadata.ts';
import { readImageHeader } from '../image.ts';
import { detectInFile } from './detect.ts';
import { markPixels } from './mark.ts';
import { canonicalSize } from './transform.ts';

const WARM_UP = 2;
const ROUNDS = Number(process.argv[2] ?? 12);
const PHOTO_KEY = createHash('sha256').update('bench').digest();
const WRONG_KEY = createHash('sha256').update('another').digest();

const source = await cameraLikeJpeg();
const header = readImageHeader(source);
const times = new Map<string, number[]>();
let isWarm = false;

for (let i = 0; i < WARM_UP + ROUNDS; i++) {
  isWarm = i >= WARM_UP;
  await timed('reencode', () =>
    sharp(source)
      .jpeg({ quality: jpegQualityFor(header) })
      .toBuffer(),
  );
  const file = await timed('protect', protect);
  await timed('verify', () => verify(file, PHOTO_KEY));
  await timed('verifyUnmarked', () => verify(source, WRONG_KEY));
}
const figures = [...times].map(([step, ms]) => [
  step,
  { p50Ms: round(quantile(ms, 0.5)), p95Ms: round(quantile(ms, 0.95)) },
]);
const ratio = quantile(times.get('protect') ?? [], 0.5) / quantile(times.get('reencode') ?? [], 0.5);
process.stdout.write(
  `${JSON.stringify({ bytes: source.length, ...Object.fromEntries(figures), ratioToReencode: round(ratio, 2) })}\n`,
);

/** Everything of protect but signing: the check of our own result included. */
async function protect(): Promise<Uint8Array> {
  const pixels = await timed('protect.decode', () => decode(source, header));
  await timed('protect.mark', () => markPixels(pixels, PHOTO_KEY, header));
  const metadata = readMetadata(source, header.format, { keepGps: false });
  const file = await timed('protect.encode', () => encode(pixels, header, metadata));
  await timed('protect.check', () => verify(file, PHOTO_KEY));
  return file;
}

async function verify(file: Uint8Array, photoKey: Uint8Array): Promise<void> {
  const { width, height } = canonicalSize(header);
  await detectInFile(file, await decodeLuma(file, width, height), header, header, photoKey);
}

async function timed<Result>(step: string, run: () => Promise<Result>): Promise<Result> {
  const start = performance.now();
  const result = await run();
  if (isWarm) times.set(step, [...(times.get(step) ?? []), performance.now() - start]);
  return result;
}
