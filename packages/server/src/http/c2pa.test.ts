// The C2PA Soft Binding Resolution API over HTTP, as a stranger uses it: a copy of a picture in, its manifest out.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { insertManifest, extractManifest } from '@lumatrace/provenance/c2pa/embed.ts';
import sharp from 'sharp';
import { protect } from '../photos/protect.ts';
import { publish } from '../photos/publish.ts';
import { testRoom, type TestRoom } from '../photos/fixtures/room.ts';
import { serve, type Served } from '../photos/fixtures/serve.ts';
import { c2paRoutes } from './c2pa.ts';
import { detectRoutes } from './detect.ts';

const ALG = 'org.lumatrace.watermark.1';
const { signal } = new AbortController();

let room: TestRoom;
let served: Served;
let photoId: string;
let manifestId: string;
let image: Uint8Array;

before(async () => {
  room = await testRoom();
  const routes = c2paRoutes({ room: { ...room, softBindingAlg: ALG }, publicUrl: 'https://example.org' });
  served = await serve([...routes, ...detectRoutes(room)]);
  const caller = { tenantId: await room.newTenant(), actor: 'key:test', requestId: 'test' };
  const bytes = new Uint8Array(await readFile(new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url)));
  const sha256 = createHash('sha256').update(bytes).digest();
  const request = {
    contentHash: sha256.toString('hex'),
    deviceModel: 'SECRET-DEVICE',
    title: 'SECRET-TITLE',
    author: 'SECRET-AUTHOR',
    latitude: 40.4168,
    longitude: -3.7038,
    traceId: '0123456789abcdef0123456789abcdef',
    digitalSourceType: 'trainedAlgorithmicMedia',
  };
  ({ photoId, image } = await protect(room, caller, { bytes, sha256 }, request, null, signal));
  manifestId = (await publish(room, caller, photoId, true)).manifestId as string;
});

after(async () => {
  served.close();
  await room.close();
});

const ask = (path: string, init?: RequestInit): Promise<Response> => fetch(served.url + path, init);

const statusOf = async (path: string, init?: RequestInit): Promise<number> => (await ask(path, init)).status;

async function byContent(file: Uint8Array, type = 'image/jpeg', query = ''): Promise<Response> {
  const body = new Blob([new Uint8Array(file)]);
  return ask(`/c2pa/matches/byContent${query}`, { method: 'POST', headers: { 'content-type': type }, body });
}

async function matchesOf(response: Response): Promise<{ manifestId: string; similarityScore?: number }[]> {
  assert.equal(response.status, 200);
  return ((await response.json()) as { matches: { manifestId: string; similarityScore?: number }[] }).matches;
}

test('a copy without metadata, 1080 px and recompressed, leads to the manifest as it was signed', async () => {
  const copy = await sharp(image).resize(1_080, 1_080, { fit: 'inside' }).jpeg({ quality: 60 }).toBuffer();
  assert.equal(extractManifest(copy, 'jpeg'), null);
  const [match] = await matchesOf(await byContent(copy));
  assert.deepEqual(match, { manifestId, similarityScore: 100 });
  const manifest = await ask(`/c2pa/manifests/${encodeURIComponent(manifestId)}`);
  assert.equal(manifest.headers.get('content-type'), 'application/c2pa');
  const store = new Uint8Array(await manifest.arrayBuffer());
  assert.deepEqual(store, new Uint8Array(extractManifest(image, 'jpeg')?.store ?? []));
  // put back, it speaks about other bytes than those of the copy: found is not verified
  assert.ok(insertManifest(copy, 'jpeg', store).length > copy.length);
});

test('a look-alike without the mark is a match by fingerprint with a lower score, and can be asked not to count', async () => {
  const original = await readFile(new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url));
  const [match] = await matchesOf(await byContent(original));
  assert.equal(match?.manifestId, manifestId);
  assert.ok((match?.similarityScore ?? 100) < 100);
  assert.deepEqual(await matchesOf(await byContent(original, 'image/jpeg', `?alg=${ALG}`)), []);
  const other = await readFile(new URL('../../../../fixtures/photos/dandelion.jpg', import.meta.url));
  assert.deepEqual(await matchesOf(await byContent(other)), []);
});

test('bindings are looked up by address and by body; a hint counts when the pixels say nothing', async () => {
  const { rows } = await room.db.database.inLookup('published', (sql) =>
    sql.query<{ binding: Buffer }>('select binding from published_photos'),
  );
  const value = (rows[0] as { binding: Buffer }).binding.toString('base64');
  const query = `?alg=${ALG}&value=${encodeURIComponent(value)}`;
  assert.deepEqual(await matchesOf(await ask(`/c2pa/matches/byBinding${query}`)), [{ manifestId }]);
  const body = JSON.stringify({ alg: ALG, value });
  const headers = { 'content-type': 'application/json' };
  assert.deepEqual(await matchesOf(await ask('/c2pa/matches/byBinding', { method: 'POST', headers, body })), [
    { manifestId },
  ]);
  const grey = await sharp({ create: { width: 300, height: 300, channels: 3, background: '#777' } })
    .png()
    .toBuffer();
  const hint = `?hintAlg=${ALG}&hintValue=${encodeURIComponent(value)}`;
  assert.deepEqual(await matchesOf(await byContent(grey, 'image/png', hint)), [{ manifestId }]);
});

test('what is wrong is refused, what is unknown is not found', async () => {
  assert.equal(await statusOf('/c2pa/manifests/urn:c2pa:nobody'), 404);
  assert.equal(await statusOf(`/c2pa/matches/byBinding?alg=${ALG}`), 400);
  assert.equal(await statusOf(`/c2pa/matches/byBinding?alg=${ALG}&value=***`), 400);
  assert.equal(await statusOf(`/c2pa/matches/byBinding?alg=${ALG}&value=AAAA&maxResults=0`), 400);
  assert.equal((await byContent(new Uint8Array(10))).status, 415);
  assert.equal((await byContent(new Uint8Array(0))).status, 400);
  assert.equal((await byContent(image.subarray(0, image.length >> 1))).status, 400);
  assert.equal(await statusOf('/c2pa/matches/byReference', { method: 'POST' }), 404);
});

test('the service says what it is, and where', async () => {
  const capabilities = (await (await ask('/c2pa/services/capabilities')).json()) as Record<string, unknown>;
  const wellKnown = (await (await ask('/.well-known/c2pa-soft-binding-resolution')).json()) as Record<string, unknown>;
  assert.equal(wellKnown['apiEndpoint'], 'https://example.org/c2pa');
  assert.equal(wellKnown['c2paSpecificationVersion'], capabilities['c2paSpecificationVersion']);
  const { watermarks } = (await (await ask('/c2pa/services/supportedAlgorithms')).json()) as { watermarks: unknown };
  assert.deepEqual(watermarks, [{ alg: ALG }]);
  assert.equal(((await (await ask('/c2pa/services/status')).json()) as { status: string }).status, 'ok');
});

interface Detected {
  credentials: { status: string; generator: string | null; digitalSourceType: string | null; actions: string[] };
  isGenerated: boolean | null;
  watermark: { status: string; photoId: string | null; manifestId: string | null };
}

async function detect(file: Uint8Array): Promise<{ answer: Detected; text: string }> {
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(file)]), 'image');
  const response = await ask('/api/v1/detect', { method: 'POST', body: form });
  assert.equal(response.status, 200);
  const text = await response.text();
  return { answer: JSON.parse(text) as Detected, text };
}

test('the public detector says what made a picture, and nothing about a person', async () => {
  const whole = await detect(image);
  assert.equal(whole.answer.credentials.status, 'VALID');
  assert.equal(whole.answer.isGenerated, true);
  assert.match(whole.answer.credentials.generator ?? '', /^LumaTrace /);
  assert.deepEqual(
    [whole.answer.watermark.status, whole.answer.watermark.photoId, whole.answer.watermark.manifestId],
    ['DETECTED', photoId, manifestId],
  );
  const copy = await detect(await sharp(image).resize(900).jpeg({ quality: 70 }).toBuffer());
  assert.deepEqual(
    [copy.answer.credentials.status, copy.answer.isGenerated, copy.answer.watermark.manifestId],
    ['MISSING', null, manifestId],
  );
  for (const secret of ['SECRET', '40.4168', '-3.7038', '0123456789abcdef']) {
    for (const { text } of [whole, copy]) assert.ok(!text.includes(secret), secret);
  }
  const nothing = await detect(await readFile(new URL('../../../../fixtures/photos/fig-bowl.jpg', import.meta.url)));
  assert.deepEqual([nothing.answer.watermark.status, nothing.answer.isGenerated], ['NOT_FOUND', null]);
});
