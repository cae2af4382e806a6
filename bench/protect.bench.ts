// How long protecting and verifying one camera photograph takes through HTTP, everything on, and how that compares with
// merely decoding and encoding the same file.
import { createHash } from 'node:crypto';
import { loadavg } from 'node:os';
import sharp from 'sharp';
import { estimateJpegQuality, jpegSegments } from '../packages/provenance/src/image.ts';
import { startInstance, type Instance } from '../packages/server/src/test/instance.ts';
import { cameraLikeJpeg } from './camera.ts';
import { progress, publish, quantile, round } from './report.ts';

// the first requests start the threads and load the codecs: a server pays that once
const WARM_UP = 4;
const ROUNDS = 40;

interface Times {
  protectMs: number[];
  verifyMs: number[];
  reencodeMs: number[];
}

const loadBefore = loadavg()[0] ?? NaN;
const image = await cameraLikeJpeg();
const quality = Math.max(85, estimateJpegQuality(jpegSegments(image)) ?? 85);
progress(`photograph of ${round(image.length / 1e6)} MB, JPEG quality ${quality}`);

const instance = await startInstance();
try {
  const times: Times = { protectMs: [], verifyMs: [], reencodeMs: [] };
  for (let i = 0; i < WARM_UP + ROUNDS; i++) {
    const measured = await oneRound(instance);
    if (i < WARM_UP) continue;
    times.protectMs.push(measured.protectMs);
    times.verifyMs.push(measured.verifyMs);
    times.reencodeMs.push(measured.reencodeMs);
    if (i % 10 === 0) progress(`${i - WARM_UP + 1} of ${ROUNDS}: ${JSON.stringify(measured)}`);
  }
  const { protectMs, verifyMs, reencodeMs } = times;
  publish(
    'protect',
    {
      protectP50Ms: round(quantile(protectMs, 0.5)),
      protectP95Ms: round(quantile(protectMs, 0.95)),
      verifyP50Ms: round(quantile(verifyMs, 0.5)),
      verifyP95Ms: round(quantile(verifyMs, 0.95)),
      reencodeP50Ms: round(quantile(reencodeMs, 0.5)),
      ratioToReencode: round(quantile(protectMs, 0.5) / quantile(reencodeMs, 0.5), 2),
      imageBytes: image.length,
      rounds: ROUNDS,
      // above 1 somebody else was working on the machine: one request after another needs about one processor
      loadAverageBefore: round(loadBefore),
      loadAverageAfter: round(loadavg()[0] ?? NaN),
    },
    [
      'One client, one request after another, over HTTP on loopback: upload, idempotency, mark, encode, sign, the check',
      'of our own result, and the transaction included. `ratioToReencode` is the median protect ÷ the median of',
      '`sharp(file).jpeg({ quality })` on the same file at the same quality, measured between the requests of the same run.',
    ],
  );
} finally {
  await instance.stop();
}

async function oneRound(at: Instance): Promise<{ protectMs: number; verifyMs: number; reencodeMs: number }> {
  const started = performance.now();
  const { photoId, protectedImage } = await protect(at);
  const protectedAt = performance.now();
  await verify(at, photoId, protectedImage);
  const verifiedAt = performance.now();
  await sharp(image).jpeg({ quality }).toBuffer();
  return {
    protectMs: round(protectedAt - started),
    verifyMs: round(verifiedAt - protectedAt),
    reencodeMs: round(performance.now() - verifiedAt),
  };
}

async function protect({
  url,
  firstRun,
}: Instance): Promise<{ photoId: string; protectedImage: Uint8Array<ArrayBuffer> }> {
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(image)]), 'camera.jpg');
  form.set('request', JSON.stringify({ contentHash: sha256(image), deviceModel: 'bench' }));
  const headers = { authorization: `Bearer ${firstRun.apiKey}` };
  const response = await fetch(`${url}/api/v1/photos/protect`, { method: 'POST', body: form, headers });
  if (!response.ok) throw new Error(`protect answered ${response.status}: ${await response.text()}`);
  return {
    photoId: response.headers.get('x-photo-id') ?? '',
    protectedImage: new Uint8Array(await response.arrayBuffer()),
  };
}

/** Throws unless the answer is "authentic": a fast wrong answer is no answer. */
async function verify({ url, firstRun }: Instance, photoId: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const form = new FormData();
  form.set('image', new Blob([bytes]), 'camera.jpg');
  form.set('photoId', photoId);
  const headers = { authorization: `Bearer ${firstRun.apiKey}` };
  const response = await fetch(`${url}/api/v1/photos/verify`, { method: 'POST', body: form, headers });
  const verdict = (await response.json()) as { authentic?: boolean };
  if (verdict.authentic !== true) throw new Error(`verify answered ${response.status}: ${JSON.stringify(verdict)}`);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
