// Profiles over HTTP: what a protection by one writes, what the public detector makes of it, and what is refused.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { PHOTO_LABEL } from '@lumatrace/provenance/c2pa/assertions.ts';
import { extractManifest, insertManifest } from '@lumatrace/provenance/c2pa/embed.ts';
import { activeManifest, cborMapOf, onlyContent } from '@lumatrace/provenance/c2pa/jumbf.ts';
import sharp from 'sharp';
import { detectPublicly } from '../photos/detect.ts';
import { serve, type Served } from '../photos/fixtures/serve.ts';
import { testRoom, type TestRoom } from '../photos/fixtures/room.ts';
import { photoRoutes } from './photos.ts';

const { signal } = new AbortController();
const FACTS = { aiProvider: 'Example AI', aiSystem: 'example-image', aiSystemVersion: '2.1' };

let room: TestRoom;
let served: Served;
let tenant: string;
let picture: Buffer;

before(async () => {
  room = await testRoom();
  served = await serve(photoRoutes(room));
  tenant = await room.newTenant();
  const photo = await readFile(new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url));
  picture = await sharp(photo).resize(900).png().toBuffer();
});

after(async () => {
  served.close();
  await room.close();
});

async function protect(more: object, key?: string): Promise<{ status: number; photoId: string; bytes: Buffer }> {
  const form = new FormData();
  const contentHash = createHash('sha256').update(picture).digest('hex');
  form.set('request', JSON.stringify({ contentHash, deviceModel: 'a model', ...more }));
  form.set('image', new Blob([new Uint8Array(picture)]));
  const headers = { 'x-tenant': tenant, ...(key === undefined ? {} : { 'idempotency-key': key }) };
  const response = await fetch(`${served.url}/api/v1/photos/protect`, { method: 'POST', headers, body: form });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, photoId: response.headers.get('x-photo-id') ?? '', bytes };
}

test('SB 942: file, registration and watermark lead to one id, and anybody reads that a model made it', async () => {
  const made = await protect({ profile: 'ca-sb-942', aiCreatedAt: '2026-11-01T10:00:00Z', ...FACTS }, 'sb-942');
  assert.equal(made.status, 200, made.bytes.subarray(0, 300).toString());
  const store = extractManifest(made.bytes, 'png')?.store ?? new Uint8Array();
  const box = activeManifest(store).assertions.find(({ label }) => label === PHOTO_LABEL);
  assert.ok(box);
  const said = cborMapOf(store, onlyContent(box, 'cbor'));
  const disclosure = said.get('disclosure') as Map<string, unknown>;
  assert.equal(said.get('photoId'), made.photoId);
  assert.deepEqual(Object.fromEntries(disclosure), {
    profile: 'ca-sb-942',
    provider: 'Example AI',
    system: 'example-image',
    version: '2.1',
    createdAt: '2026-11-01T10:00:00.000Z',
  });
  const headers = { 'x-tenant': tenant };
  const shown = await (await fetch(`${served.url}/api/v1/photos/${made.photoId}`, { headers })).json();
  const { registration, protection } = shown as {
    registration: { record: { photoId: string }; verdict: string };
    protection: { profile: string };
  };
  assert.deepEqual(
    [registration.record.photoId, registration.verdict, protection.profile],
    [made.photoId, 'valid', 'ca-sb-942'],
  );
  // the file tells it by its credentials; a screenshot by its watermark, once the photo is published
  const detected = await detectPublicly(room, { bytes: new Uint8Array(made.bytes) }, signal);
  assert.deepEqual([detected.credentials.status, detected.isGenerated], ['VALID', true]);
  const told = {
    profile: 'ca-sb-942',
    provider: 'Example AI',
    system: 'example-image',
    version: '2.1',
    createdAt: '2026-11-01T10:00:00.000Z',
  };
  assert.deepEqual(detected.credentials.madeBy, told);
  await fetch(`${served.url}/api/v1/photos/${made.photoId}/publication`, { method: 'PUT', headers });
  const screenshot = await sharp(made.bytes).resize(700).jpeg({ quality: 80 }).toBuffer();
  const seen = await detectPublicly(room, { bytes: new Uint8Array(screenshot) }, signal);
  assert.deepEqual([seen.watermark.status, seen.watermark.photoId], ['DETECTED', made.photoId]);
  assert.deepEqual([seen.credentials.madeBy, seen.watermark.madeBy], [null, told]);
  // these credentials beside another picture are not to be believed
  const other = await sharp(picture).flop().png().toBuffer();
  const changed = insertManifest(other, 'png', store);
  const lied = await detectPublicly(room, { bytes: new Uint8Array(changed) }, signal);
  assert.deepEqual([lied.credentials.status, lied.credentials.madeBy, lied.isGenerated], ['TAMPERED', null, null]);
  const again = await protect({ profile: 'ca-sb-942', aiCreatedAt: '2026-11-01T10:00:00Z', ...FACTS }, 'sb-942');
  assert.deepEqual([again.photoId, again.bytes.equals(made.bytes)], [made.photoId, true]);
});

const REFUSED: [string, object, RegExp][] = [
  ['a fact that the profile needs', { profile: 'ca-sb-942', aiProvider: 'x', aiSystem: 'y' }, /^aiSystemVersion: /],
  ['every fact', { profile: 'eu-ai-act-art-50' }, /^aiProvider: /],
  ['a known profile', { profile: 'mars-law', ...FACTS }, /^request\.profile: /],
  ['a profile for its facts', FACTS, /^aiProvider: Expected a profile/],
  ['a source type of models', { profile: 'ai-generated', ...FACTS, digitalSourceType: 'digitalCapture' }, /^digital/],
  ['a time of its own', { profile: 'ai-generated', ...FACTS, aiCreatedAt: '2999-01-01T00:00:00Z' }, /^aiCreatedAt: /],
  ['a readable time', { profile: 'ai-generated', ...FACTS, aiCreatedAt: 'yesterday' }, /aiCreatedAt: /],
];
test('without what its profile needs nothing is protected, and the refusal names what is missing', async () => {
  for (const [what, more, message] of REFUSED) {
    const { status, bytes } = await protect(more);
    const problem = JSON.parse(bytes.toString()) as { code: string; message: string };
    assert.deepEqual([status, problem.code], [400, 'VALIDATION_FAILED'], `without ${what}`);
    assert.match(problem.message, message);
  }
});
