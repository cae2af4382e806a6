// How long protecting and verifying one camera photograph takes through HTTP, everything on, and how that compares with
// merely decoding and encoding the same file.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import sharp from 'sharp';
import { estimateJpegQuality, jpegSegments } from '../packages/provenance/src/image.ts';
import { startInstance, type Instance } from '../packages/server/src/test/instance.ts';
import { processTree } from '../packages/server/src/test/processes.ts';
import { cameraLikeJpeg, LARGEST } from './camera.ts';
import { progress, publish, quantile, round } from './report.ts';

// the first requests start the threads and load the codecs: a server pays that once
const WARM_UP = 4;
const ROUNDS = 40;
const PARALLEL = 8;
const PARALLEL_ROUNDS = 5;
const BURST = 150;
const BURST_PER_SECOND = 50;

interface Times {
  protectMs: number[];
  verifyMs: number[];
  reencodeMs: number[];
  identifyMs: number[];
}

const loadBefore = loadavg()[0] ?? NaN;
const image = await cameraLikeJpeg();
const quality = Math.max(85, estimateJpegQuality(jpegSegments(image)) ?? 85);
progress(`photograph of ${round(image.length / 1e6)} MB, JPEG quality ${quality}`);

const instance = await startInstance();
try {
  const times: Times = { protectMs: [], verifyMs: [], reencodeMs: [], identifyMs: [] };
  for (let i = 0; i < WARM_UP + ROUNDS; i++) {
    const measured = await oneRound(instance);
    if (i < WARM_UP) continue;
    times.protectMs.push(measured.protectMs);
    times.verifyMs.push(measured.verifyMs);
    times.reencodeMs.push(measured.reencodeMs);
    times.identifyMs.push(measured.identifyMs);
    if (i % 10 === 0) progress(`${i - WARM_UP + 1} of ${ROUNDS}: ${JSON.stringify(measured)}`);
  }
  const { protectMs, verifyMs, reencodeMs, identifyMs } = times;
  const largest = await largestOf(instance);
  const together = await sideBySide(instance);
  const burst = await burstOf(instance);
  publish(
    'protect',
    {
      protectP50Ms: round(quantile(protectMs, 0.5)),
      protectP95Ms: round(quantile(protectMs, 0.95)),
      verifyP50Ms: round(quantile(verifyMs, 0.5)),
      verifyP95Ms: round(quantile(verifyMs, 0.95)),
      identifyP50Ms: round(quantile(identifyMs, 0.5)),
      identifyP95Ms: round(quantile(identifyMs, 0.95)),
      reencodeP50Ms: round(quantile(reencodeMs, 0.5)),
      ratioToReencode: round(quantile(protectMs, 0.5) / quantile(reencodeMs, 0.5), 2),
      ...largest,
      ...together,
      ...burst,
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
      '`identify` searches the unmarked file everywhere. `largest` is 16 megapixels; `peakRss` is that of all processes but',
      'PostgreSQL while eight clients protect at once; the burst is fifty small pictures a second for three seconds.',
    ],
  );
} finally {
  await instance.stop();
}

async function oneRound(
  at: Instance,
): Promise<{ protectMs: number; verifyMs: number; reencodeMs: number; identifyMs: number }> {
  const started = performance.now();
  const { photoId, protectedImage } = await protect(at, image);
  const protectedAt = performance.now();
  await verify(at, photoId, protectedImage);
  const verifiedAt = performance.now();
  await sharp(image).jpeg({ quality }).toBuffer();
  const reencodedAt = performance.now();
  await identify(at, image);
  return {
    protectMs: round(protectedAt - started),
    verifyMs: round(verifiedAt - protectedAt),
    reencodeMs: round(reencodedAt - verifiedAt),
    identifyMs: round(performance.now() - reencodedAt),
  };
}

async function protect(
  { url, firstRun }: Instance,
  bytes: Uint8Array,
): Promise<{ photoId: string; protectedImage: Uint8Array<ArrayBuffer> }> {
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(bytes)]), 'camera.jpg');
  form.set('request', JSON.stringify({ contentHash: sha256(bytes), deviceModel: 'bench' }));
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

/** A picture without a mark: the search looks everywhere before it says so. */
async function identify({ url, firstRun }: Instance, bytes: Uint8Array): Promise<void> {
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(bytes)]), 'camera.jpg');
  const headers = { authorization: `Bearer ${firstRun.apiKey}` };
  const response = await fetch(`${url}/api/v1/photos/identify`, { method: 'POST', body: form, headers });
  const { matches } = (await response.json()) as { matches?: { kind: string }[] };
  if (matches === undefined || matches.some(({ kind }) => kind === 'watermark')) {
    throw new Error(`identify answered ${response.status}: ${JSON.stringify(matches)}`);
  }
}

/** 16 megapixels in 24.8 MB, protected and verified. */
async function largestOf(at: Instance): Promise<{ largestBytes: number; largestMs: number; largestVerifyMs: number }> {
  const bytes = await cameraLikeJpeg(undefined, LARGEST);
  const started = performance.now();
  const { photoId, protectedImage } = await protect(at, bytes);
  const protectedAt = performance.now();
  await verify(at, photoId, protectedImage);
  return {
    largestBytes: bytes.length,
    largestMs: round(protectedAt - started),
    largestVerifyMs: round(performance.now() - protectedAt),
  };
}

/** Peak of the resident memory of the server's process and those below it, PostgreSQL left out. */
async function sideBySide({ url, firstRun, process: server }: Instance): Promise<{ peakRssMb: number }> {
  let peakRssMb = 0;
  const timer = setInterval(() => (peakRssMb = Math.max(peakRssMb, rssMbOf(server.pid as number))), 50);
  const client = async (): Promise<void> => {
    for (let i = 0; i < PARALLEL_ROUNDS; i++) {
      const status = await statusOf(url, firstRun.apiKey, image);
      if (status !== 200) throw new Error(`one of ${PARALLEL} at once was answered ${status}`);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, client));
  clearInterval(timer);
  return { peakRssMb: round(peakRssMb) };
}

/** Fifty requests a second for three seconds: each is answered, or refused with 429 or 503; none is lost. */
async function burstOf({ url, firstRun }: Instance): Promise<Record<string, number>> {
  const small = new Uint8Array(await sharp(image).resize(1_200).jpeg().toBuffer());
  const counts = { burstAnswered: 0, burstRefused: 0, burstLost: 0 };
  const asked = Array.from({ length: BURST }, async (_, i) => {
    await new Promise((resolve) => setTimeout(resolve, (1_000 * i) / BURST_PER_SECOND));
    const status = await statusOf(url, firstRun.apiKey, small).catch(() => 0);
    if (status === 200) counts.burstAnswered++;
    else if (status === 429 || status === 503) counts.burstRefused++;
    else counts.burstLost++;
  });
  await Promise.all(asked);
  return counts;
}

async function statusOf(url: string, apiKey: string, bytes: Uint8Array): Promise<number> {
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(bytes)]), 'camera.jpg');
  form.set('request', JSON.stringify({ contentHash: sha256(bytes), deviceModel: 'bench' }));
  const headers = { authorization: `Bearer ${apiKey}` };
  const response = await fetch(`${url}/api/v1/photos/protect`, { method: 'POST', body: form, headers });
  await response.arrayBuffer();
  return response.status;
}

function rssMbOf(root: number): number {
  let kb = 0;
  for (const { pid, name } of processTree(root)) {
    if (/postgres/i.test(name)) continue;
    const status = readFileSync(`/proc/${pid}/status`, { encoding: 'utf8', flag: 'r' });
    kb += Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return kb / 1_024;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
