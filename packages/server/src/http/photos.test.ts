// Photos over HTTP, against the contract: real PostgreSQL, real threads, real photographs.
import assert from 'node:assert/strict';
import { createHash, createPublicKey, randomUUID, verify as verifySignature } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { canonicalJson, type Json } from '../photos/registration.ts';
import { serve, type Served } from '../photos/fixtures/serve.ts';
import { testRoom, type TestRoom } from '../photos/fixtures/room.ts';
import { photoRoutes } from './photos.ts';

const PHOTOS = new URL('../../../../fixtures/photos/', import.meta.url);

let room: TestRoom;
let served: Served;
let tenant: string;
let stranger: string;
let jpeg: Buffer;

before(async () => {
  room = await testRoom({ sameMarks: true });
  served = await serve(photoRoutes(room));
  tenant = await room.newTenant();
  stranger = await room.newTenant();
  jpeg = await readFile(new URL('sunset.jpg', PHOTOS));
});

after(async () => {
  served.close();
  await room.close();
});

const NOISE = { type: 'gaussian' as const, mean: 128, sigma: 30 };

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

interface Answered {
  status: number;
  headers: Headers;
  bytes: Buffer;
}

async function send(path: string, init: RequestInit, as = tenant): Promise<Answered> {
  const headers = { 'x-tenant': as, ...(init.headers as Record<string, string> | undefined) };
  const response = await fetch(served.url + path, { ...init, headers });
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
}

const jsonOf = <T = Record<string, unknown>>({ bytes }: Answered): T => JSON.parse(bytes.toString('utf8')) as T;

function register(request: object, key?: string, as?: string): Promise<Answered> {
  const headers = { 'content-type': 'application/json', ...(key === undefined ? {} : { 'idempotency-key': key }) };
  return send('/api/v1/photos/register', { method: 'POST', body: JSON.stringify(request), headers }, as);
}

function protect(
  image: Uint8Array,
  { key, as, ...more }: { key?: string; as?: string; [member: string]: unknown } = {},
  signal?: AbortSignal,
): Promise<Answered> {
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(image)]), 'photo');
  form.set('request', JSON.stringify({ contentHash: sha256(image), deviceModel: 'test camera', ...more }));
  const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key };
  return send('/api/v1/photos/protect', { method: 'POST', body: form, headers, signal }, as);
}

async function verify(image: Uint8Array, photoId: string, as?: string, signal?: AbortSignal): Promise<Answered> {
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(image)]), 'photo');
  form.set('photoId', photoId);
  return send('/api/v1/photos/verify', { method: 'POST', body: form, signal }, as);
}

interface Verdict {
  authentic: boolean;
  confidenceScore: number;
  c2paStatus: string;
  watermarkStatus: string;
  tamperClass: string | null;
  changedRegions: { x: number; y: number; width: number; height: number; log10p: number }[] | null;
  tenantId: string;
  message: string;
  findings: { code: string; severity: string; message: string; evidence?: object }[];
}

const verdictOf = async (image: Uint8Array, photoId: string): Promise<Verdict> => {
  const answered = await verify(image, photoId);
  assert.equal(answered.status, 200, answered.bytes.toString());
  return jsonOf<Verdict>(answered);
};

const idOf = ({ headers }: Answered): string => headers.get('x-photo-id') ?? '';

async function refused(answered: Promise<Answered>, status: number, code: string): Promise<string> {
  const { status: got, bytes, headers } = await answered;
  assert.equal(got, status, bytes.subarray(0, 300).toString());
  assert.equal(headers.get('content-type'), 'application/problem+json');
  const problem = JSON.parse(bytes.toString()) as { code: string; message: string };
  assert.equal(problem.code, code);
  return problem.message;
}

async function photoCount(as = tenant): Promise<number> {
  const { rows } = await room.database.inTenant(as, (sql) =>
    sql.query<{ count: string }>('select count(*) from photos where tenant_id = $1', [as]),
  );
  return Number(rows[0]?.count);
}

// ---------------------------------------------------------------- register

test('register answers photoId, tenantId and a signature that a third party can check', async () => {
  const request = { contentHash: sha256(jpeg), deviceModel: 'Pixel 9', latitude: 40.4168, longitude: -3.7038 };
  const answered = await register(request);
  assert.equal(answered.status, 200);
  const registered = jsonOf<{ photoId: string; tenantId: string; signature: string }>(answered);
  assert.deepEqual(Object.keys(registered).sort(), ['logReceipt', 'photoId', 'signature', 'tenantId']);
  assert.equal(registered.tenantId, tenant);
  const photo = jsonOf<{ registration: { record: Json; publicKey: string }; status: string; latitude: number }>(
    await send(`/api/v1/photos/${registered.photoId}`, {}),
  );
  assert.equal(photo.status, 'registered');
  assert.equal(photo.latitude, 40.4168);
  const { record, publicKey } = photo.registration;
  const signed = Buffer.from(canonicalJson(record));
  const signature = Buffer.from(registered.signature, 'base64');
  assert.ok(verifySignature('sha256', signed, createPublicKey(publicKey), signature));
  assert.ok(!verifySignature('sha256', Buffer.from(`${signed} `), createPublicKey(publicKey), signature));
});

test('device and place are not readable in the database', async () => {
  await register({ contentHash: sha256(Buffer.from('sealed')), deviceModel: 'Secret Camera 7', latitude: 12.3456 });
  const { rows } = await room.database.inTenant(tenant, (sql) => sql.query('select photos::text from photos'));
  const text = JSON.stringify(rows);
  assert.ok(!text.includes('Secret Camera') && !text.includes(Buffer.from('Secret Camera').toString('hex')));
  assert.ok(!text.includes(Buffer.from('12.3456').toString('hex')));
});

test('register refuses what is not in the contract', async () => {
  const contentHash = sha256(jpeg);
  const bad: object[] = [
    {},
    { contentHash },
    { deviceModel: 'x' },
    { contentHash: contentHash.slice(1), deviceModel: 'x' },
    { contentHash: `${contentHash.slice(1)}g`, deviceModel: 'x' },
    { contentHash, deviceModel: '' },
    { contentHash, deviceModel: 'x'.repeat(201) },
    { contentHash, deviceModel: 'x', latitude: 91 },
    { contentHash, deviceModel: 'x', longitude: '3' },
  ];
  for (const request of bad) await refused(register(request), 400, 'VALIDATION_FAILED');
});

test('register with an Idempotency-Key: same bytes again, 422 for another body, another photo without a key', async () => {
  const request = { contentHash: sha256(Buffer.from('idem')), deviceModel: 'x' };
  const key = randomUUID();
  const [first, second] = [await register(request, key), await register(request, key)];
  assert.deepEqual(second.bytes, first.bytes);
  assert.equal(second.headers.get('content-type'), first.headers.get('content-type'));
  await refused(register({ ...request, deviceModel: 'y' }, key), 422, 'CONFLICT');
  const unkeyed = jsonOf<{ photoId: string }>(await register(request));
  assert.notEqual(unkeyed.photoId, jsonOf<{ photoId: string }>(first).photoId);
  await refused(register(request, 'x'.repeat(65)), 400, 'VALIDATION_FAILED');
});

test('a hundred registrations at once under one key make one photo', async () => {
  const before = await photoCount();
  const request = { contentHash: sha256(Buffer.from('hundred')), deviceModel: 'x' };
  const key = randomUUID();
  const answers = await Promise.all(Array.from({ length: 100 }, () => register(request, key)));
  assert.equal(new Set(answers.map(({ bytes }) => bytes.toString())).size, 1);
  assert.equal(await photoCount(), before + 1);
});

// ---------------------------------------------------------------- protect and verify

test('a protected photograph is authentic; format, size and bytes are as recorded', async () => {
  const answered = await protect(jpeg);
  assert.equal(answered.status, 200, answered.bytes.subarray(0, 300).toString());
  assert.equal(answered.headers.get('content-type'), 'image/jpeg');
  const photoId = idOf(answered);
  const [was, is] = [await sharp(jpeg).metadata(), await sharp(answered.bytes).metadata()];
  assert.deepEqual([is.format, is.width, is.height], [was.format, was.width, was.height]);
  const verdict = await verdictOf(answered.bytes, photoId);
  assert.deepEqual(
    [verdict.authentic, verdict.c2paStatus, verdict.watermarkStatus, verdict.tamperClass, verdict.tenantId],
    [true, 'VALID', 'DETECTED', 'NONE', tenant],
    JSON.stringify(verdict.findings, null, 1),
  );
  assert.ok(verdict.confidenceScore > 7.2, String(verdict.confidenceScore));
  assert.ok(verdict.message.length > 0 && verdict.findings.length > 0);
  const photo = jsonOf<{ status: string; width: number; protection: { outputSha256: string } }>(
    await send(`/api/v1/photos/${photoId}`, {}),
  );
  assert.deepEqual([photo.status, photo.width], ['protected', was.width]);
  assert.equal(photo.protection.outputSha256, sha256(answered.bytes));
});

for (const format of ['png', 'webp'] as const) {
  test(`${format} goes in and ${format} comes out, authentic`, async () => {
    const image = await sharp(jpeg).resize(900).toFormat(format).toBuffer();
    const answered = await protect(image);
    assert.equal(answered.headers.get('content-type'), `image/${format}`);
    const verdict = await verdictOf(answered.bytes, idOf(answered));
    assert.equal(verdict.authentic, true, JSON.stringify(verdict.findings, null, 1));
  });
}

test('one pixel block changed under an untouched manifest is TAMPERED', async () => {
  const png = await sharp(jpeg).resize(900).png().toBuffer();
  const answered = await protect(png);
  const changed = withPixelBlock(answered.bytes, await repainted(answered.bytes));
  const verdict = await verdictOf(changed, idOf(answered));
  assert.deepEqual([verdict.authentic, verdict.c2paStatus], [false, 'TAMPERED']);
});

test('one byte of the pixels changed is TAMPERED', async () => {
  const answered = await protect(jpeg);
  const changed = Buffer.from(answered.bytes);
  const at = changed.length - 5_000;
  changed[at] = (changed[at] as number) ^ 1;
  const verdict = await verdictOf(changed, idOf(answered));
  assert.deepEqual([verdict.authentic, verdict.c2paStatus], [false, 'TAMPERED']);
});

test('the unmarked original is not authentic', async () => {
  const answered = await protect(jpeg);
  const verdict = await verdictOf(jpeg, idOf(answered));
  assert.deepEqual([verdict.authentic, verdict.c2paStatus, verdict.watermarkStatus], [false, 'MISSING', 'NOT_FOUND']);
});

test('shrunk to 1080 px and JPEG 75: the mark is found, the manifest is missing, and it is not authentic', async () => {
  const answered = await protect(jpeg);
  const small = await sharp(answered.bytes).resize(1080, 1080, { fit: 'inside' }).jpeg({ quality: 75 }).toBuffer();
  const verdict = await verdictOf(small, idOf(answered));
  assert.deepEqual([verdict.authentic, verdict.c2paStatus, verdict.watermarkStatus], [false, 'MISSING', 'DETECTED']);
});

test('a crop of the protected photograph still carries the mark, and is not authentic', async () => {
  const answered = await protect(jpeg);
  const { width, height } = await sharp(answered.bytes).metadata();
  const area = { left: 100, top: 80, width: Math.round(width * 0.7), height: Math.round(height * 0.7) };
  const verdict = await verdictOf(
    await sharp(answered.bytes).extract(area).jpeg({ quality: 90 }).toBuffer(),
    idOf(answered),
  );
  assert.deepEqual(
    [verdict.authentic, verdict.c2paStatus, verdict.watermarkStatus, verdict.tamperClass],
    [false, 'MISSING', 'DETECTED', 'CROP'],
  );
});

test('what was pasted in is found where it is; saving again and shrinking alone are nowhere', async () => {
  const answered = await protect(jpeg);
  const { width, height } = await sharp(answered.bytes).metadata();
  const box = { left: Math.round(width * 0.3), top: Math.round(height * 0.35), width: 420, height: 360 };
  const patch = await sharp(await readFile(new URL('forest-stream.jpg', PHOTOS)))
    .resize(box.width, box.height, { fit: 'cover' })
    .toBuffer();
  const pasted = sharp(answered.bytes).composite([{ input: patch, left: box.left, top: box.top }]);
  for (const [size, quality] of [
    [width, 85],
    [1_200, 75],
  ] as const) {
    const seen = await verdictOf(
      await sharp(await pasted.clone().png().toBuffer())
        .resize(size)
        .jpeg({ quality })
        .toBuffer(),
      idOf(answered),
    );
    assert.deepEqual([seen.watermarkStatus, seen.tamperClass], ['DETECTED', 'STRUCTURAL_ALTERATION']);
    const regions = seen.changedRegions ?? [];
    assert.equal(regions.length, 1, JSON.stringify(regions));
    const [found] = regions as [NonNullable<Verdict['changedRegions']>[number]];
    const [scale, slack] = [size / width, 110 * (size / width)];
    for (const [got, wanted] of [
      [found.x, box.left],
      [found.y, box.top],
      [found.x + found.width, box.left + box.width],
      [found.y + found.height, box.top + box.height],
    ] as const) {
      assert.ok(Math.abs(got - wanted * scale) <= slack, JSON.stringify({ found, box, scale }));
    }
    assert.ok(found.log10p <= -8);
    assert.ok(seen.findings.some(({ code }) => code === 'org.lumatrace.watermark.missingParts'));
  }
  for (const quality of [60, 85]) {
    const again = await verdictOf(await sharp(answered.bytes).jpeg({ quality }).toBuffer(), idOf(answered));
    assert.deepEqual([again.changedRegions, again.tamperClass], [[], 'COMPRESSION']);
    const smaller = await sharp(answered.bytes).resize(1_100).jpeg({ quality }).toBuffer();
    const shrunk = await verdictOf(smaller, idOf(answered));
    assert.deepEqual([shrunk.changedRegions, shrunk.tamperClass], [[], 'RESIZE']);
  }
  const whole = await verdictOf(answered.bytes, idOf(answered));
  assert.deepEqual([whole.authentic, whole.changedRegions], [true, null]);
});

test('what was painted in one colour is found where it is, by the fingerprint', async () => {
  const answered = await protect(jpeg);
  const { width, height } = await sharp(answered.bytes).metadata();
  const box = { left: Math.round(width * 0.2), top: Math.round(height * 0.3), width: 560, height: 420 };
  const patch = { create: { width: box.width, height: box.height, channels: 3 as const, background: '#202020' } };
  const painted = await sharp(answered.bytes)
    .composite([{ input: patch, left: box.left, top: box.top }])
    .jpeg({ quality: 75 })
    .toBuffer();
  const { tamperClass, changedRegions } = await verdictOf(painted, idOf(answered));
  assert.equal(tamperClass, 'STRUCTURAL_ALTERATION');
  const [found] = changedRegions ?? [];
  assert.ok(found && Math.abs(found.x - box.left) < 60 && Math.abs(found.y - box.top) < 60, JSON.stringify(found));
  assert.ok(Math.abs(found.width - box.width) < 100 && Math.abs(found.height - box.height) < 100);
});

test('the protected file of one photo is not authentic as another photo, and the answer names the photo that it is', async () => {
  const [one, other] = [await protect(jpeg), await protect(jpeg)];
  assert.notEqual(idOf(one), idOf(other));
  const verdict = await verdictOf(one.bytes, idOf(other));
  assert.deepEqual([verdict.authentic, verdict.watermarkStatus], [false, 'NOT_FOUND']);
  const copy = await sharp(one.bytes).resize(1_000).jpeg({ quality: 70 }).toBuffer();
  const named = (await verdictOf(copy, idOf(other))).findings.find(
    ({ code }) => code === 'org.lumatrace.watermark.otherPhoto',
  );
  assert.deepEqual(named?.evidence, { photoId: idOf(one) });
});

test('another tenant’s mark tells a verification nothing', async () => {
  const [ours, theirs] = [await protect(jpeg), await protect(jpeg, { as: await room.newTenant() })];
  const verdict = await verdictOf(await sharp(theirs.bytes).jpeg({ quality: 80 }).toBuffer(), idOf(ours));
  assert.equal(verdict.watermarkStatus, 'NOT_FOUND');
  assert.ok(!JSON.stringify(verdict).includes(idOf(theirs)));
  assert.ok(verdict.findings.every(({ code }) => code !== 'org.lumatrace.watermark.otherPhoto'));
});

test('a photograph without any mark: none is found, none is named, and no map is drawn', async () => {
  const answered = await protect(jpeg);
  const other = await sharp(await readFile(new URL('dandelion.jpg', PHOTOS)))
    .jpeg({ quality: 80 })
    .toBuffer();
  const verdict = await verdictOf(other, idOf(answered));
  assert.deepEqual(
    [verdict.authentic, verdict.watermarkStatus, verdict.changedRegions, verdict.tamperClass],
    [false, 'NOT_FOUND', null, null],
  );
  assert.ok(verdict.findings.every(({ code }) => code !== 'org.lumatrace.watermark.otherPhoto'));
});

test('the version that marked a photo is tried however old it is, and no more once it was retired', async () => {
  const owner = await room.newTenant();
  const answered = await protect(jpeg, { as: owner });
  const copy = await sharp(answered.bytes).jpeg({ quality: 80 }).toBuffer();
  const statusOf = async (): Promise<unknown[]> => {
    const { watermarkStatus, changedRegions } = jsonOf<Verdict>(await verify(copy, idOf(answered), owner));
    return [watermarkStatus, changedRegions];
  };
  for (let i = 0; i < 4; i++) await room.watermarkKeys.rotate(owner);
  assert.deepEqual(await statusOf(), ['DETECTED', []]);
  await room.watermarkKeys.retire(owner, 1);
  assert.deepEqual(await statusOf(), ['NOT_FOUND', null]);
});

test('a photo that was only registered is not authentic', async () => {
  const { photoId } = jsonOf<{ photoId: string }>(await register({ contentHash: sha256(jpeg), deviceModel: 'x' }));
  const verdict = await verdictOf(jpeg, photoId);
  assert.deepEqual([verdict.authentic, verdict.watermarkStatus], [false, 'NOT_FOUND']);
});

// ---------------------------------------------------------------- whose photo

test('the first protect takes the registration, every further one makes a new photo', async () => {
  const image = await sharp(jpeg).resize(640).jpeg().toBuffer();
  const { photoId } = jsonOf<{ photoId: string }>(await register({ contentHash: sha256(image), deviceModel: 'x' }));
  assert.equal(idOf(await protect(image)), photoId);
  const before = await photoCount();
  assert.notEqual(idOf(await protect(image)), photoId);
  assert.equal(await photoCount(), before + 1);
});

test('two protects at once never take the same registration', async () => {
  const image = await sharp(jpeg).resize(641).jpeg().toBuffer();
  const { photoId } = jsonOf<{ photoId: string }>(await register({ contentHash: sha256(image), deviceModel: 'x' }));
  const ids = (await Promise.all([protect(image), protect(image), protect(image)])).map(idOf);
  assert.equal(new Set(ids).size, 3);
  assert.equal(ids.filter((id) => id === photoId).length, 1);
});

test("another tenant's photo is 404, byte for byte like a random id and a malformed one", async () => {
  const answered = await protect(jpeg);
  const bodies = [];
  for (const id of [idOf(answered), randomUUID(), 'not-an-id', "'; drop table photos; --", '%00']) {
    const verified = await verify(answered.bytes, id, stranger);
    const read = await send(`/api/v1/photos/${encodeURIComponent(id)}`, {}, stranger);
    assert.deepEqual([verified.status, read.status], [404, 404], id);
    bodies.push(verified.bytes.toString(), read.bytes.toString());
  }
  assert.equal(new Set(bodies).size, 1);
  const list = jsonOf<{ data: unknown[] }>(await send('/api/v1/photos', {}, stranger));
  assert.deepEqual(list.data, []);
});

test('a registration of another tenant is not taken', async () => {
  const image = await sharp(jpeg).resize(642).jpeg().toBuffer();
  const request = { contentHash: sha256(image), deviceModel: 'x' };
  const { photoId } = jsonOf<{ photoId: string }>(await register(request, undefined, stranger));
  assert.notEqual(idOf(await protect(image)), photoId);
});

// ---------------------------------------------------------------- list

test('the list is newest first, in pages, and every photo comes once', async () => {
  const mine = await room.newTenant();
  const ids: string[] = [];
  for (let i = 0; i < 7; i++) {
    const request = { contentHash: sha256(Buffer.from([i])), deviceModel: `camera ${i}` };
    ids.unshift(jsonOf<{ photoId: string }>(await register(request, undefined, mine)).photoId);
    await sleep(3);
  }
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const path = `/api/v1/photos?limit=3${cursor === null ? '' : `&cursor=${cursor}`}`;
    const page: {
      data: { photoId: string }[];
      pagination: { limit: number; nextCursor: string | null; hasMore: boolean };
    } = jsonOf(await send(path, {}, mine));
    assert.equal(page.pagination.limit, 3);
    assert.equal(page.pagination.hasMore, page.pagination.nextCursor !== null);
    seen.push(...page.data.map(({ photoId }) => photoId));
    cursor = page.pagination.nextCursor;
  } while (cursor !== null);
  assert.deepEqual(seen, ids);
  for (const query of ['limit=0', 'limit=501', 'limit=x', 'cursor=!', 'cursor=AAAA']) {
    await refused(send(`/api/v1/photos?${query}`, {}, mine), 400, 'VALIDATION_FAILED');
  }
});

// ---------------------------------------------------------------- idempotent protect

test('protect again with the same key answers the same bytes and makes no second photo', async () => {
  const key = randomUUID();
  const first = await protect(jpeg, { key });
  const count = await photoCount();
  const second = await protect(jpeg, { key });
  assert.equal(second.status, 200);
  assert.deepEqual(second.bytes, first.bytes);
  assert.equal(idOf(second), idOf(first));
  assert.equal(second.headers.get('content-type'), first.headers.get('content-type'));
  assert.equal(await photoCount(), count);
  await refused(protect(jpeg, { key, deviceModel: 'other' }), 422, 'CONFLICT');
  await refused(protect(await sharp(jpeg).resize(700).jpeg().toBuffer(), { key }), 422, 'CONFLICT');
});

test('the retry of an image that came with credentials of its own is the same, and those are not kept', async () => {
  const source = (await protect(jpeg)).bytes;
  const key = randomUUID();
  const first = await protect(source, { key });
  assert.equal(first.status, 200, first.bytes.subarray(0, 300).toString());
  const second = await protect(source, { key });
  assert.deepEqual(second.bytes, first.bytes);
  const { rows } = await room.database.inTenant(tenant, (sql) =>
    sql.query<{ gaps: number }>(
      'select jsonb_array_length(manifest_gaps) as gaps from protections where photo_id = $1',
      [idOf(first)],
    ),
  );
  assert.ok((rows[0]?.gaps ?? 0) > 0);
});

test('a retry that cannot be rebuilt is 409 and makes no second photo', async () => {
  const key = randomUUID();
  const first = await protect(jpeg, { key });
  const count = await photoCount();
  await room.database.inTenant(tenant, (sql) =>
    sql.query(`update idempotency set output_sha256 = sha256('other') where photo_id = $1`, [idOf(first)]),
  );
  await refused(protect(jpeg, { key }), 409, 'CONFLICT');
  assert.equal(await photoCount(), count);
});

test('a hundred protects at once under one key make one photo and one answer', async () => {
  const image = await sharp(jpeg).resize(480).jpeg().toBuffer();
  const count = await photoCount();
  const key = randomUUID();
  const answers = await Promise.all(Array.from({ length: 100 }, () => protect(image, { key })));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.equal(new Set(answers.map(({ bytes }) => sha256(bytes))).size, 1);
  assert.equal(await photoCount(), count + 1);
});

// ---------------------------------------------------------------- what stays of the file

/** Whether EXIF points to a GPS directory (tag 0x8825, in either byte order). */
async function holdsGps(bytes: Buffer): Promise<boolean> {
  const { exif } = await sharp(bytes).metadata();
  return [
    [0x88, 0x25],
    [0x25, 0x88],
  ].some((tag) => exif?.includes(Buffer.from(tag)) === true);
}

test('title and author stand in the manifest, and the strength is what was asked for, again too', async () => {
  const asked = { title: 'Ábaco', author: 'Ana López', strength: 1.5, key: 'strong' };
  const [strong, plain] = [await protect(jpeg, asked), await protect(jpeg)];
  assert.equal(strong.status, 200, strong.bytes.toString('utf8', 0, 300));
  const store = Buffer.from(strong.bytes).toString('utf8');
  assert.ok(store.includes('Ábaco') && store.includes('Ana López'));
  const gainOf = async (answered: Answered): Promise<number> =>
    jsonOf<{ protection: { evidence: { gain: number } } }>(await send(`/api/v1/photos/${idOf(answered)}`, {}))
      .protection.evidence.gain;
  assert.ok((await gainOf(strong)) > 1.2 * (await gainOf(plain)));
  assert.equal((await verdictOf(strong.bytes, idOf(strong))).authentic, true);
  const again = await protect(jpeg, asked);
  assert.deepEqual([idOf(again), again.bytes.equals(strong.bytes)], [idOf(strong), true]);
  await refused(protect(jpeg, { strength: 9 }), 400, 'VALIDATION_FAILED');
});

test('orientation, ICC and EXIF stay; GPS goes unless keepGps', async () => {
  const source = await sharp(jpeg)
    .resize(800)
    .withMetadata({ orientation: 6, icc: 'p3' })
    .withExifMerge({ IFD0: { Copyright: 'Somebody' }, IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '40/1 25/1 0/1' } })
    .jpeg()
    .toBuffer();
  assert.ok(await holdsGps(source), 'the fixture holds a position');
  const plain = await protect(source);
  const is = await sharp(plain.bytes).metadata();
  assert.equal(is.orientation, 6);
  assert.ok(is.icc && is.icc.length > 100);
  assert.ok(is.exif?.includes('Somebody'));
  assert.equal(await holdsGps(plain.bytes), false);
  assert.equal((await verdictOf(plain.bytes, idOf(plain))).authentic, true);
  const kept = await protect(source, { keepGps: true });
  assert.equal(await holdsGps(kept.bytes), true);
});

// ---------------------------------------------------------------- refusals

test('contentHash other than the SHA-256 of the image is refused, and nothing is recorded', async () => {
  const count = await photoCount();
  await refused(protect(jpeg, { contentHash: sha256(Buffer.from('other')) }), 400, 'VALIDATION_FAILED');
  assert.equal(await photoCount(), count);
});

test('the request part must be the JSON of the contract', async () => {
  for (const request of [
    '',
    '{',
    '[]',
    'null',
    '{"deviceModel":"x"}',
    `{"contentHash":"${sha256(jpeg)}"}`,
    '"\ud800"',
  ]) {
    const form = new FormData();
    form.set('image', new Blob([jpeg]), 'photo');
    form.set('request', request);
    await refused(send('/api/v1/photos/protect', { method: 'POST', body: form }), 400, 'VALIDATION_FAILED');
  }
});

/** A PNG chunk; nobody here looks at its check sum. */
const pngChunk = (type: string, body: Buffer): Buffer => {
  const bytes = Buffer.concat([Buffer.alloc(4), Buffer.from(type, 'latin1'), body, Buffer.alloc(4)]);
  bytes.writeUInt32BE(body.length, 0);
  return bytes;
};

const png = (width: number, height: number): Buffer => {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    magic,
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(Buffer.alloc(10))),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
};

const flat = (width: number, height: number): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: '#777' } })
    .jpeg()
    .toBuffer();

const animated = (): Promise<Buffer> => {
  const frames = Buffer.alloc(300 * 600 * 3);
  for (let i = 0; i < frames.length; i++) frames[i] = (i * 31) & 255;
  return sharp(frames, { raw: { width: 300, height: 600, channels: 3, pageHeight: 300 } })
    .webp()
    .toBuffer();
};

const BAD: readonly (readonly [
  what: string,
  make: () => Promise<Uint8Array>,
  protect: readonly [number, string],
  verify: number,
])[] = [
  ['a file of no bytes', async () => new Uint8Array(0), [400, 'VALIDATION_FAILED'], 400],
  ['a truncated JPEG', async () => jpeg.subarray(0, 20_000), [400, 'VALIDATION_FAILED'], 200],
  ['a text called JPEG', async () => Buffer.from('not an image'), [415, 'UNSUPPORTED_MEDIA_TYPE'], 415],
  ['a GIF', () => sharp(jpeg).resize(300).gif().toBuffer(), [415, 'UNSUPPORTED_MEDIA_TYPE'], 415],
  ['a TIFF', () => sharp(jpeg).resize(300).tiff().toBuffer(), [415, 'UNSUPPORTED_MEDIA_TYPE'], 415],
  [
    'an SVG',
    async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
    [415, 'UNSUPPORTED_MEDIA_TYPE'],
    415,
  ],
  ['an animated WebP', animated, [415, 'UNSUPPORTED_MEDIA_TYPE'], 415],
  [
    'a CMYK JPEG',
    () => sharp(jpeg).resize(400).toColourspace('cmyk').jpeg().toBuffer(),
    [415, 'UNSUPPORTED_MEDIA_TYPE'],
    200,
  ],
  ['a header of 50,000×50,000', async () => png(50_000, 50_000), [413, 'PAYLOAD_TOO_LARGE'], 413],
  ['4096×4096', async () => png(4_096, 4_096), [413, 'PAYLOAD_TOO_LARGE'], 413],
  [
    '26,214,401 bytes',
    async () => Buffer.concat([jpeg, Buffer.alloc(26_214_401 - jpeg.length)]),
    [413, 'PAYLOAD_TOO_LARGE'],
    413,
  ],
  ['a shorter side of 255', () => flat(1_000, 255), [400, 'VALIDATION_FAILED'], 200],
];

for (const [what, make, [status, code], verifyStatus] of BAD) {
  test(`${what}: protect answers ${status}, verify ${verifyStatus}, and nothing is recorded`, async () => {
    const { photoId } = jsonOf<{ photoId: string }>(await register({ contentHash: sha256(jpeg), deviceModel: 'x' }));
    const count = await photoCount();
    const image = await make();
    await refused(protect(image), status, code);
    assert.equal(await photoCount(), count);
    const verified = await verify(image, photoId);
    assert.equal(verified.status, verifyStatus, verified.bytes.subarray(0, 300).toString());
    if (verifyStatus === 200) assert.equal(jsonOf<Verdict>(verified).authentic, false);
  });
}

test('26,214,400 bytes pass, and so does 4000×4000', async () => {
  const padded = Buffer.concat([jpeg, Buffer.alloc(26_214_400 - jpeg.length)]);
  const answered = await protect(padded);
  assert.equal(answered.status, 200, answered.bytes.subarray(0, 300).toString());
  const large = await sharp(jpeg).resize(4_000, 4_000, { fit: 'fill' }).jpeg().toBuffer();
  const second = await protect(large);
  assert.equal(second.status, 200, second.bytes.subarray(0, 300).toString());
  assert.equal((await verdictOf(second.bytes, idOf(second))).authentic, true);
});

test('a 16-bit PNG stays one', async () => {
  const deep = await sharp(jpeg).resize(600).toColourspace('rgb16').png().toBuffer();
  const answered = await protect(deep);
  assert.equal(answered.status, 200, answered.bytes.subarray(0, 300).toString());
  assert.equal((await sharp(answered.bytes).metadata()).depth, 'ushort');
  assert.equal((await verdictOf(answered.bytes, idOf(answered))).authentic, true);
});

test('a protected file cut short is not authentic, and verify says why', async () => {
  const answered = await protect(jpeg);
  const verdict = await verdictOf(answered.bytes.subarray(0, answered.bytes.length - 60_000), idOf(answered));
  assert.equal(verdict.authentic, false);
  assert.ok(['TAMPERED', 'INVALID'].includes(verdict.c2paStatus), verdict.c2paStatus);
  assert.equal(verdict.watermarkStatus, 'NOT_FOUND');
  assert.ok(verdict.findings.some(({ severity }) => severity === 'failure'));
});

const postForm = (parts: [string, string][], path = 'protect'): Promise<Answered> => {
  const form = new FormData();
  for (const [name, value] of parts) form.append(name, value);
  return send(`/api/v1/photos/${path}`, { method: 'POST', body: form });
};

test('missing, repeated and unknown parts are refused', async () => {
  await refused(postForm([['request', '{}']]), 400, 'VALIDATION_FAILED');
  await refused(
    postForm([
      ['image', 'x'],
      ['image', 'x'],
      ['request', '{}'],
    ]),
    400,
    'VALIDATION_FAILED',
  );
  await refused(postForm([['image', 'x']], 'verify'), 400, 'VALIDATION_FAILED');
  await refused(
    postForm(
      [
        ['image', 'x'],
        ['photoId', 'x'],
        ['more', 'x'],
      ],
      'verify',
    ),
    400,
    'VALIDATION_FAILED',
  );
  await refused(
    postForm(
      [
        ['image', 'x'],
        ['photoId', 'x'.repeat(300)],
      ],
      'verify',
    ),
    413,
    'PAYLOAD_TOO_LARGE',
  );
});

test('a client that goes away ends the search for its picture’s mark, and the next one is served', async () => {
  const answered = await protect(jpeg);
  // noise has no mark anywhere, so the whole search runs
  const noise = { create: { width: 3_000, height: 3_000, channels: 3 as const, background: '#888', noise: NOISE } };
  const unmarked = await sharp(noise).jpeg({ quality: 90 }).toBuffer();
  const whole = performance.now();
  assert.equal((await verdictOf(unmarked, idOf(answered))).watermarkStatus, 'NOT_FOUND');
  const wholeMs = performance.now() - whole;
  const gone = new AbortController();
  const settled = assert.rejects(verify(unmarked, idOf(answered), tenant, gone.signal), { name: 'AbortError' });
  while (room.images.load.running === 0) await sleep(5);
  const threads = room.images.load.workers;
  await sleep(wholeMs / 4);
  gone.abort();
  const left = performance.now();
  await settled;
  while (room.images.load.running > 0) await sleep(1);
  assert.ok(performance.now() - left < wholeMs / 4, 'it did not wait for the search');
  assert.equal(room.images.load.workers, threads - 1, 'the thread that held the pixels is ended');
  assert.equal((await verdictOf(answered.bytes, idOf(answered))).authentic, true);
});

test('a client that goes away cancels its work and leaves nothing', async () => {
  const count = await photoCount();
  const large = await sharp(jpeg).resize(3_900, 3_900, { fit: 'fill' }).jpeg().toBuffer();
  const gone = new AbortController();
  const sent = protect(large, {}, gone.signal);
  const settled = assert.rejects(sent, { name: 'AbortError' });
  while (room.images.load.running === 0) await sleep(5);
  gone.abort();
  await settled;
  while (room.images.load.running > 0) await sleep(5);
  assert.equal(await photoCount(), count);
});

/** Every chunk of a PNG with its type. */
const chunksOf = (bytes: Buffer): [type: string, chunk: Buffer][] => {
  const found: [string, Buffer][] = [];
  for (let at = 8; at < bytes.length;) {
    const end = at + 12 + bytes.readUInt32BE(at);
    found.push([bytes.toString('latin1', at + 4, at + 8), bytes.subarray(at, end)]);
    at = end;
  }
  return found;
};

/** The same PNG file with other image data: every chunk but IDAT stays, the manifest included. */
function withPixelBlock(original: Buffer, painted: Buffer): Buffer {
  const data = chunksOf(painted).filter(([type]) => type === 'IDAT');
  const kept = chunksOf(original).filter(([type]) => type !== 'IDAT');
  const end = kept.pop() as [string, Buffer];
  return Buffer.concat([original.subarray(0, 8), ...[...kept, ...data, end].map(([, chunk]) => chunk)]);
}

function repainted(image: Buffer): Promise<Buffer> {
  const block = { create: { width: 8, height: 8, channels: 3 as const, background: '#888' } };
  return sharp(image)
    .composite([{ input: block, left: 300, top: 300 }])
    .png({ palette: false })
    .toBuffer();
}
