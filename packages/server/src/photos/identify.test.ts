// Whose picture is this? From the pixels alone, among those that may be named, and with a bound that pays for all of them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { readSoftBinding, SOFT_BINDING_LABEL, type SoftBinding } from '@lumatrace/provenance/c2pa/assertions.ts';
import { extractManifest } from '@lumatrace/provenance/c2pa/embed.ts';
import { activeManifest, cborOf, onlyContent } from '@lumatrace/provenance/c2pa/jumbf.ts';
import sharp from 'sharp';
import { testRoom, type TestRoom } from './fixtures/room.ts';
import { identify, identifyPublished, type Match } from './identify.ts';
import { protect, type ProtectedImage } from './protect.ts';
import { publish } from './publish.ts';
import { manifestStore, matchesByBinding } from './resolution.ts';

const { signal } = new AbortController();

let room: TestRoom;
let ours: string;
let theirs: string;
let jpeg: Buffer;
let made: ProtectedImage;
/** Shrunk, turned a little and saved again, all metadata gone. */
let found: Buffer;

before(async () => {
  room = await testRoom();
  [ours, theirs] = [await room.newTenant(), await room.newTenant()];
  jpeg = await readFile(new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url));
  made = await protectAs(ours);
  found = await sharp(made.image).resize(1_000).rotate(4, { background: '#fff' }).jpeg({ quality: 70 }).toBuffer();
});

after(() => room.close());

const viewerOf = (tenantId: string, canReadTraces = true) => ({ tenantId, canReadTraces });
const callerOf = (tenantId: string) => ({ tenantId, actor: 'key:test', requestId: 'test' });
const upload = (bytes: Uint8Array) => ({ bytes: new Uint8Array(bytes) });

const TRACE_ID = '0123456789abcdef0123456789abcdef';
const SPAN_ID = '0123456789abcdef';

function protectAs(tenantId: string, bytes: Uint8Array = jpeg): Promise<ProtectedImage> {
  const sha256 = createHash('sha256').update(bytes).digest();
  const request = { contentHash: sha256.toString('hex'), deviceModel: 'x', traceId: TRACE_ID, spanId: SPAN_ID };
  return protect(room, callerOf(tenantId), { bytes: new Uint8Array(bytes), sha256 }, request, null, signal);
}

function softBindingOf(store: Uint8Array): SoftBinding {
  const box = activeManifest(store).assertions.find(({ label }) => label === SOFT_BINDING_LABEL);
  assert.ok(box);
  return readSoftBinding(cborOf(store, onlyContent(box, 'cbor'))) as SoftBinding;
}

const identifyAs = async (tenantId: string, picture: Uint8Array): Promise<Match[]> =>
  (await identify(room, viewerOf(tenantId), upload(picture), signal)).matches;

test('a picture without metadata, smaller and turned, names its photo, with a bound', async () => {
  const { matches, findings } = await identify(room, viewerOf(ours), upload(found), signal);
  const [first] = matches;
  assert.ok(first?.kind === 'watermark' && first.log10p <= -9, JSON.stringify(matches));
  assert.deepEqual([first.photoId, first.manifestId], [made.photoId, null]);
  assert.deepEqual([first.traceId, first.spanId], [TRACE_ID, SPAN_ID]);
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['org.lumatrace.identify.read'],
  );
});

test('who may not read traces is told the photo, by its mark or its looks, and not the model call', async () => {
  for (const picture of [found, jpeg]) {
    const { matches } = await identify(room, viewerOf(ours, false), upload(picture), signal);
    assert.ok(matches.some(({ photoId }) => photoId === made.photoId));
    for (const { traceId, spanId } of matches) assert.deepEqual([traceId, spanId], [null, null]);
  }
});

test('it is nobody’s to another tenant until it is published, and then without its trace', async () => {
  assert.deepEqual(await identifyAs(theirs, found), []);
  const { manifestId } = await publish(room, callerOf(ours), made.photoId, true);
  assert.match(manifestId ?? '', /^urn:c2pa:/);
  const [match] = await identifyAs(theirs, found);
  assert.equal(match?.kind, 'watermark');
  assert.ok(match);
  assert.deepEqual([match.photoId, match.manifestId], [made.photoId, manifestId]);
  const anybody = await identifyPublished(room, upload(found), signal);
  for (const { traceId, spanId } of [match, ...anybody.matches]) assert.deepEqual([traceId, spanId], [null, null]);
  assert.equal(anybody.matches[0]?.photoId, made.photoId);
  await publish(room, callerOf(ours), made.photoId, false);
  assert.deepEqual(await identifyAs(theirs, found), []);
});

test('the bound pays for every tenant that is tried', async () => {
  const boundOf = async (tenantId: string): Promise<number> => {
    const { findings } = await identify(room, viewerOf(tenantId), upload(found), signal);
    return findings[0]?.evidence?.['attempts'] as number;
  };
  const alone = await boundOf(theirs);
  await publish(room, callerOf(ours), made.photoId, true);
  assert.equal(await boundOf(theirs), 2 * alone);
  await publish(room, callerOf(ours), made.photoId, false);
});

test('a picture without a mark is a candidate by its looks, nearest first, and never more', async () => {
  const [match] = await identifyAs(ours, jpeg);
  assert.ok(match?.kind === 'fingerprint' && match.distance <= 8, JSON.stringify(match));
  assert.equal(match.photoId, made.photoId);
  const other = await readFile(new URL('../../../../fixtures/photos/dandelion.jpg', import.meta.url));
  assert.deepEqual(await identifyAs(ours, other), []);
});

test('what is published is given out whole and found by its binding; others’ ids are not found', async () => {
  const resolution = { ...room, softBindingAlg: 'org.lumatrace.watermark.1' };
  const { manifestId } = await publish(room, callerOf(ours), made.photoId, true);
  const store = await manifestStore(resolution, manifestId as string);
  assert.deepEqual(Buffer.from(store), Buffer.from(extractManifest(made.image, 'jpeg')?.store ?? []));
  const binding = softBindingOf(store);
  assert.equal(binding.alg, 'org.lumatrace.watermark.1');
  const value = Buffer.from(binding.value).toString('base64');
  const matches = await matchesByBinding(resolution, { alg: binding.alg, value, maxResults: 10 });
  assert.deepEqual(matches, [{ manifestId }]);
  assert.deepEqual(await matchesByBinding(resolution, { alg: 'com.other', value, maxResults: 10 }), []);
  await publish(room, callerOf(ours), made.photoId, false);
  await assert.rejects(manifestStore(resolution, manifestId as string), { code: 'NOT_FOUND' });
  assert.deepEqual(await matchesByBinding(resolution, { alg: binding.alg, value, maxResults: 10 }), []);
  await assert.rejects(publish(room, callerOf(theirs), made.photoId, true), { code: 'NOT_FOUND' });
  await assert.rejects(publish(room, callerOf(theirs), made.photoId, false), { code: 'NOT_FOUND' });
});

test('a manifest that holds credentials of others is not published: they are not kept', async () => {
  const photoId = (await protectAs(ours, made.image)).photoId;
  await assert.rejects(publish(room, callerOf(ours), photoId, true), { code: 'CONFLICT' });
});

test('a photo is still named after its key was rotated, and no more once that version is retired', async () => {
  const nameOf = async (picture: Uint8Array): Promise<string | undefined> =>
    (await identifyAs(ours, picture)).find(({ kind }) => kind === 'watermark')?.photoId;
  assert.equal(await room.watermarkKeys.rotate(ours), 2);
  assert.equal(await nameOf(found), made.photoId);
  const newer = await protectAs(ours);
  assert.equal(await nameOf(newer.image), newer.photoId);
  await room.watermarkKeys.retire(ours, 1);
  assert.equal(await nameOf(found), undefined);
  assert.equal(await nameOf(newer.image), newer.photoId);
  await assert.rejects(room.watermarkKeys.retire(ours, 2), { code: 'KEY_UNKNOWN_VERSION' });
});

test('what does not decode is refused', async () => {
  const cut = found.subarray(0, found.length >> 1);
  await assert.rejects(identify(room, viewerOf(ours), upload(cut), signal), { code: 'VALIDATION_FAILED' });
});
