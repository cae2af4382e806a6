// Three real photographs through the public API: protected, then verified as they are, degraded, and changed.
import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { extractManifest, insertManifest } from '@lumatrace/provenance/c2pa/embed.ts';
import { paintBlock, shrinkToJpeg } from '@lumatrace/provenance/codec/alter.ts';
import { CannotAnswer } from '../command.ts';

const PHOTOS = fileURLToPath(new URL('../../../../fixtures/photos/', import.meta.url));
const FILES = ['dandelion.jpg', 'sunset.jpg', 'fig-bowl.jpg'] as const;

export interface Verdict {
  file: string;
  what: string;
  authentic: boolean;
  c2paStatus: string;
  watermarkStatus: string;
}

/** Protects and verifies; resolves with what the server said of each version. */
export async function showPhotos(url: string, apiKey: string): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const file of FILES) {
    const original = await readFile(PHOTOS + file);
    const { photoId, image } = await protect(url, apiKey, original);
    const versions = [
      ['as protected', image],
      ['shrunk to 1080 px, JPEG 75', await shrinkToJpeg(image, 1080, 75)],
      ['one block painted over', await tamperedWith(image)],
      ['never protected', original],
    ] as const;
    for (const [what, bytes] of versions) verdicts.push({ file, what, ...(await verify(url, apiKey, photoId, bytes)) });
  }
  return verdicts;
}

/** As a forger would: another picture under the credentials of the first. */
async function tamperedWith(image: Buffer): Promise<Uint8Array> {
  const credentials = extractManifest(image, 'jpeg');
  if (credentials === null) throw new CannotAnswer('the protected photograph carries no credentials');
  return insertManifest(await paintBlock(image), 'jpeg', credentials.store);
}

async function protect(url: string, apiKey: string, image: Buffer): Promise<{ photoId: string; image: Buffer }> {
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(image)], { type: 'image/jpeg' }), 'photo.jpg');
  const contentHash = createHash('sha256').update(image).digest('hex');
  form.set('request', JSON.stringify({ contentHash, deviceModel: 'LumaTrace demo' }));
  const response = await fetch(`${url}/api/v1/photos/protect`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'idempotency-key': randomUUID() },
    body: form,
  });
  if (!response.ok) throw new CannotAnswer(`protect answered ${response.status}: ${await response.text()}`);
  return { photoId: response.headers.get('x-photo-id') ?? '', image: Buffer.from(await response.arrayBuffer()) };
}

async function verify(
  url: string,
  apiKey: string,
  photoId: string,
  image: Uint8Array,
): Promise<Omit<Verdict, 'file' | 'what'>> {
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(image)]), 'photo.jpg');
  form.set('photoId', photoId);
  const response = await fetch(`${url}/api/v1/photos/verify`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}` },
    body: form,
  });
  if (!response.ok) throw new CannotAnswer(`verify answered ${response.status}: ${await response.text()}`);
  const { authentic, c2paStatus, watermarkStatus } = (await response.json()) as Verdict;
  return { authentic, c2paStatus, watermarkStatus };
}
