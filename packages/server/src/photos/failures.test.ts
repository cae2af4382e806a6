// What fails beside the image: threads that die or hang, a signer that does not answer, a revoked certificate. Verify
// then says "not to be trusted", protect says "later" or "our fault", and neither leaves half a photo.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { makeChain } from '@lumatrace/provenance/c2pa/chain.fixture.ts';
import { insertPhoto } from '../storage/postgres/photos.ts';
import { testRoom, type TestRoom } from './fixtures/room.ts';
import { Once } from './idempotency.ts';
import { ImageThreads, type ImagesOptions, type ManifestCredentials } from './images.ts';
import { protect, type ProtectedImage, type ProtectRoom } from './protect.ts';
import { register } from './register.ts';
import { Refusal } from './refusal.ts';
import { verify, type Verification, type VerifyRoom } from './verify.ts';

const CRASHING = new URL('./fixtures/crashing.ts', import.meta.url);
const { signal } = new AbortController();

let room: TestRoom;
let tenantId: string;
let jpeg: Buffer;
let made: ProtectedImage;

before(async () => {
  room = await testRoom();
  tenantId = await room.newTenant();
  jpeg = await readFile(new URL('../../../../fixtures/photos/dandelion.jpg', import.meta.url));
  made = await protectIn(room);
});

after(() => room.close());

const caller = () => ({ tenantId, actor: 'key:test', requestId: 'test' });
const hash = (): Buffer => createHash('sha256').update(jpeg).digest();

function protectIn(at: ProtectRoom, key: string | null = null): Promise<ProtectedImage> {
  const request = { contentHash: hash().toString('hex'), deviceModel: 'x' };
  return protect(at, caller(), { bytes: new Uint8Array(jpeg), sha256: hash() }, request, key, signal);
}

function verifyIn(at: VerifyRoom): Promise<Verification> {
  return verify(at, caller(), { bytes: new Uint8Array(made.image) }, made.photoId, signal);
}

/** The same room with other threads, for one test. */
async function withThreads(options: ImagesOptions, run: (at: TestRoom) => Promise<void>): Promise<void> {
  const images = new ImageThreads(options);
  try {
    await run({ ...room, images });
  } finally {
    await images.close();
  }
}

async function withCredentials(change: Partial<ManifestCredentials>): Promise<TestRoom> {
  const credentials = await room.manifestCredentials();
  return { ...room, manifestCredentials: async () => ({ ...credentials, ...change }) };
}

async function counts(): Promise<{ photos: number; protections: number; audit: number; held: number }> {
  const { rows } = await room.database.inTenant(tenantId, (sql) =>
    sql.query<{ photos: number; protections: number; audit: number; held: number }>(
      `select (select count(*) from photos)::int as photos,
              (select count(*) from protections)::int as protections,
              (select count(*) from audit)::int as audit,
              (select count(*) from photos where reserved_by is not null)::int as held`,
    ),
  );
  return rows[0] as { photos: number; protections: number; audit: number; held: number };
}

const refusal = (code: string) => (error: unknown) => error instanceof Refusal && error.code === code;

const late = (error: unknown): boolean => refusal('UNAVAILABLE')(error) && (error as Refusal).retryAfterSeconds === 5;

const noSigner = async (): Promise<Uint8Array> => {
  throw Object.assign(new Error('The signer is being started again'), { code: 'UNAVAILABLE' });
};

test('a thread that dies of the file makes verify say INVALID, not fail', async () => {
  await withThreads({ script: CRASHING }, async (at) => {
    const verdict = await verifyIn(at);
    assert.deepEqual(
      [verdict.authentic, verdict.c2paStatus, verdict.watermarkStatus, verdict.confidenceScore],
      [false, 'INVALID', 'NOT_FOUND', 0],
    );
    assert.ok(verdict.findings.some(({ code }) => code === 'org.lumatrace.c2pa.engineFailed'));
  });
});

test('a thread that does not come to an end makes verify say INVALID, and protect say later', async () => {
  await withThreads({ jobTimeoutMs: 1 }, async (at) => {
    assert.deepEqual([(await verifyIn(at)).authentic, (await verifyIn(at)).c2paStatus], [false, 'INVALID']);
    const before = await counts();
    await assert.rejects(protectIn(at), refusal('UNAVAILABLE'));
    assert.deepEqual(await counts(), before);
  });
});

test('a thread that dies in protect leaves nothing, and a registration free for the next', async () => {
  const request = { contentHash: hash().toString('hex'), deviceModel: 'x' };
  const registered = JSON.parse(Buffer.from(await register(room, caller(), request, request, null)).toString()) as {
    photoId: string;
  };
  const before = await counts();
  await withThreads({ script: CRASHING }, async (at) => {
    await assert.rejects(protectIn(at), refusal('INTERNAL_ENGINE_ERROR'));
  });
  assert.deepEqual(await counts(), before);
  assert.equal((await protectIn(room)).photoId, registered.photoId);
});

test('when every place is taken, both say later, with a time', async () => {
  await withThreads({ maxWorkers: 1, maxQueued: 0 }, async (at) => {
    const running = protectIn(at);
    while (at.images.load.running === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    await assert.rejects(verifyIn(at), late);
    await assert.rejects(protectIn(at), late);
    await running;
  });
});

test('a signer that cannot be reached is "later", and nothing is recorded', async () => {
  const { signer } = await room.manifestCredentials();
  const before = await counts();
  await assert.rejects(protectIn(await withCredentials({ signer: { ...signer, sign: noSigner } })), late);
  assert.deepEqual(await counts(), before);
});

test('a signer that signs wrongly is caught by our own check', async () => {
  const { signer } = await room.manifestCredentials();
  const wrong = { ...signer, sign: async () => new Uint8Array(64).fill(7) };
  const before = await counts();
  await assert.rejects(protectIn(await withCredentials({ signer: wrong })), refusal('INTERNAL_ENGINE_ERROR'));
  assert.deepEqual(await counts(), before);
});

test('a certificate that was revoked makes its images INVALID', async () => {
  const { signer } = await room.manifestCredentials();
  const certificateSha256 = createHash('sha256')
    .update(signer.certificateChainDer[0] as Uint8Array)
    .digest('hex');
  const revocations = [{ certificateSha256, revokedAt: new Date(0) }];
  const verdict = await verifyIn(await withCredentials({ revocations }));
  assert.deepEqual([verdict.authentic, verdict.c2paStatus, verdict.watermarkStatus], [false, 'INVALID', 'DETECTED']);
  assert.equal((await verifyIn(room)).authentic, true);
});

test('under the root of somebody else our own images are not authentic', async () => {
  const { trust } = await makeChain();
  const verdict = await verifyIn(await withCredentials({ trustAnchorsPem: trust.anchorsPem }));
  assert.deepEqual([verdict.authentic, verdict.c2paStatus], [false, 'INVALID']);
});

test('when recording fails, no part of the photo is there', async () => {
  const before = await counts();
  const broken: ProtectRoom = {
    ...room,
    clock: () => new Date(Number.NaN),
  };
  await assert.rejects(protectIn(broken));
  assert.deepEqual(await counts(), before);
});

test('an attempt whose owner died between reserving and recording is carried on under the same photo', async () => {
  const request = { contentHash: hash().toString('hex'), deviceModel: 'x' };
  const { photoId } = JSON.parse(Buffer.from(await register(room, caller(), request, request, null)).toString()) as {
    photoId: string;
  };
  const key = 'dies half way';
  // dead: its lease and its reservation stay as they are, since nobody is left to give them back
  const dead = protectIn({ ...room, manifestCredentials: () => new Promise(() => {}) }, key);
  dead.catch(() => {});
  for (let held = 0; held === 0; held = (await counts()).held) await new Promise((resolve) => setTimeout(resolve, 10));
  await room.database.inTenant(tenantId, (sql) =>
    sql.query('update idempotency set lease_until = clock_timestamp() where key = $1', [key]),
  );
  const successor = { ...room, once: new Once({ database: room.database }) };
  assert.equal((await protectIn(successor, key)).photoId, photoId);
});

test('a photo that another tenant owns cannot be written', async () => {
  const other = await room.newTenant();
  const photo = {
    tenantId,
    photoId: made.photoId,
    contentHash: hash(),
    deviceModel: Buffer.from('x'),
    location: null,
    registeredAt: new Date(),
    signature: Buffer.from('x'),
    keyId: 'x',
    traceId: null,
    spanId: null,
  };
  await assert.rejects(
    room.database.inTenant(other, (sql) => insertPhoto(sql, photo)),
    { code: '42501' },
  );
});
