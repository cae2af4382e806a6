// One core of the benchmark: marks a photograph and lets every attack loose on it, or searches pictures without a mark.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import sharp from 'sharp';
import { detect, type Detection } from '../../packages/provenance/src/watermark/find.ts';
import { lookedAtSize } from '../../packages/provenance/src/watermark/frame.ts';
import type { PayloadKey, SyncKey } from '../../packages/provenance/src/watermark/keys.ts';
import { markPixels } from '../../packages/provenance/src/watermark/strength.ts';
import type { Luma } from '../../packages/provenance/src/codec/codec.ts';
import { BEYOND, CORE, EXTREME, SMALL } from './attacks.ts';
import { ssim, worstPatch } from './measures.ts';
import { removeByFolding, removePeaks } from './removal.ts';
import { cropTo, fromBytes, psnr, randomFrom, toSharp, type Raster } from './raster.ts';

export type Task =
  | { kind: 'removal'; path: string }
  | { kind: 'photo'; path: string; size: 'full' | 'small' }
  | { kind: 'unmarked'; path: string; index: number };

export type Row =
  | { kind: 'removal'; path: string; way: string; ok: boolean; wrong: boolean; z: number; spentDb: number }
  /** How far a marked photograph looks from the original, and how far a JPEG of quality 90 does. */
  | { kind: 'perceptual'; path: string; butteraugli: number; jpeg90: number }
  | {
      kind: 'marked';
      path: string;
      size: string;
      psnr: number;
      ssim: number;
      worst: number;
      gain: number;
      journeyZ: number;
    }
  | { kind: 'attack'; path: string; size: string; attack: string; ok: boolean; wrong: boolean; z: number; ms: number }
  | {
      kind: 'unmarked';
      index: number;
      id: string | null;
      z: number;
      read: number;
      ms: number;
      width: number;
      height: number;
    };

const secret = (text: string): Uint8Array => createHash('sha256').update(text).digest();
export const SYNC: SyncKey = { version: 1, secret: secret('bench sync') };
export const PAYLOAD: PayloadKey = { tenantId: 'bench', version: 1, secret: secret('bench payload') };

export const idOf = (path: string): bigint => createHash('sha256').update(path).digest().readBigUInt64BE();

const LONG_SIDE = 1_920;
const SMALL_SIDE = 512;

export async function load(path: string, size: 'full' | 'small'): Promise<Raster> {
  const image = sharp(readFileSync(path));
  const shaped =
    size === 'small'
      ? image.resize(SMALL_SIDE, SMALL_SIDE, { fit: 'cover' })
      : image.resize(LONG_SIDE, LONG_SIDE, { fit: 'inside', withoutEnlargement: true });
  return fromBytes(await shaped.png({ compressionLevel: 0 }).toBuffer());
}

/** As a verification decodes: brought to 1024 at most, luma. */
export async function lookAt(picture: Raster): Promise<Luma> {
  const { width, height } = lookedAtSize(picture);
  const { data } = await toSharp(picture)
    .toColourspace('b-w')
    .resize(width, height, { fit: 'fill', kernel: 'cubic' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width, height, data: Float32Array.from(data) };
}

export async function searchIn(picture: Raster): Promise<Detection> {
  return detect(await lookAt(picture), { syncs: [SYNC], payloads: [PAYLOAD], received: picture, depth: 'full' });
}

async function attackAll(path: string, size: 'full' | 'small', tell: (row: Row) => void): Promise<void> {
  const original = await load(path, size);
  const id = idOf(path);
  const pixels = { ...original, channels: 3 as const, bitDepth: 8 as const, data: Uint8Array.from(original.data) };
  const keys = { sync: SYNC, payload: PAYLOAD };
  const { gain, journeyZ } = await markPixels(pixels, keys, id, { format: 'jpeg', lossless: false });
  const marked: Raster = { width: original.width, height: original.height, data: pixels.data };
  tell({
    kind: 'marked',
    path,
    size,
    psnr: psnr(original, marked),
    ssim: ssim(original, marked),
    worst: worstPatch(original, marked).psnr,
    gain,
    journeyZ,
  });
  const attacks = size === 'small' ? SMALL : { ...CORE, ...EXTREME, ...BEYOND };
  for (const [attack, change] of Object.entries(attacks)) {
    const attacked = await change(marked);
    const luma = await lookAt(attacked);
    const started = performance.now();
    const { blind } = detect(luma, { syncs: [SYNC], payloads: [PAYLOAD], received: attacked, depth: 'full' });
    const ms = performance.now() - started;
    const ok = blind?.id === id;
    tell({ kind: 'attack', path, size, attack, ok, wrong: blind !== null && !ok, z: blind?.z ?? 0, ms });
  }
}

export const REMOVALS: Readonly<Record<string, (picture: Raster) => Raster>> = {
  'fold128@45dB': (picture) => removeByFolding(picture, 128),
  'fold512@45dB': (picture) => removeByFolding(picture, 512),
  'peaks@45dB': removePeaks,
};

/** The photograph with its mark. */
export async function markedPhoto(path: string): Promise<Raster> {
  const original = await load(path, 'full');
  const pixels = { ...original, channels: 3 as const, bitDepth: 8 as const, data: Uint8Array.from(original.data) };
  await markPixels(pixels, { sync: SYNC, payload: PAYLOAD }, idOf(path), { format: 'jpeg', lossless: false });
  return { width: original.width, height: original.height, data: pixels.data };
}

async function removeAll(path: string, tell: (row: Row) => void): Promise<void> {
  const marked = await markedPhoto(path);
  for (const [way, remove] of Object.entries(REMOVALS)) {
    const attacked = remove(marked);
    const { blind } = await searchIn(attacked);
    const ok = blind?.id === idOf(path);
    const wrong = blind !== null && !ok;
    tell({ kind: 'removal', path, way, ok, wrong, z: blind?.z ?? 0, spentDb: psnr(marked, attacked) });
  }
}

/** Decoding takes as long as the search: a thread keeps the corpus, about 7 MB a photograph. */
const MAX_KEPT = 64;
const keptPhotos = new Map<string, Raster>();

async function keptPhoto(path: string): Promise<Raster> {
  const photo = keptPhotos.get(path) ?? (await load(path, 'full'));
  if (keptPhotos.size < MAX_KEPT) keptPhotos.set(path, photo);
  return photo;
}

/** A part of a photograph that no other index has: position, size and shape drawn by the index. */
async function searchUnmarked(path: string, index: number, tell: (row: Row) => void): Promise<void> {
  const random = randomFrom(index + 1);
  const whole = await keptPhoto(path);
  const width = Math.round(whole.width * (0.3 + 0.7 * random()));
  const height = Math.round(whole.height * (0.3 + 0.7 * random()));
  const [left, top] = [Math.floor((whole.width - width) * random()), Math.floor((whole.height - height) * random())];
  const part = cropTo(whole, left, top, width, height);
  const luma = await lookAt(part);
  const started = performance.now();
  const { blind, read } = detect(luma, { syncs: [SYNC], payloads: [PAYLOAD], received: part, depth: 'full' });
  const ms = performance.now() - started;
  tell({ kind: 'unmarked', index, id: blind?.id.toString() ?? null, z: blind?.z ?? 0, read, ms, width, height });
}

if (workerData === 'bench watermark') {
  const port = parentPort as MessagePort;
  port.on('message', (task: Task) => {
    void work(task, (message) => port.postMessage(message));
  });
}

async function work(task: Task, tell: (message: Row | 'done') => void): Promise<void> {
  if (task.kind === 'photo') await attackAll(task.path, task.size, tell);
  else if (task.kind === 'removal') await removeAll(task.path, tell);
  else await searchUnmarked(task.path, task.index, tell);
  tell('done');
}
