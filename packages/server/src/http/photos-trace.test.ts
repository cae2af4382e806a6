// The tie between a photo and the model call that made it: who may follow it, and from which side.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { serve, type Served } from '../photos/fixtures/serve.ts';
import { testRoom, type TestRoom } from '../photos/fixtures/room.ts';
import { photoRoutes } from './photos.ts';

let room: TestRoom;
let served: Served;
let ours: string;
let theirs: string;

before(async () => {
  room = await testRoom();
  served = await serve(photoRoutes(room));
  [ours, theirs] = [await room.newTenant(), await room.newTenant()];
});

after(async () => {
  served.close();
  await room.close();
});

const READS_TRACES = { 'x-scopes': 'traces:read' };
const hex = (bytes: number): string => randomBytes(bytes).toString('hex');

interface Tied {
  photoId: string;
  traceId: string | null;
  spanId: string | null;
}

async function ask<T>(path: string, tenant: string, init: RequestInit = {}): Promise<{ status: number; body: T }> {
  const headers = { 'x-tenant': tenant, ...(init.headers as Record<string, string> | undefined) };
  const response = await fetch(served.url + path, { ...init, headers });
  return { status: response.status, body: (await response.json()) as T };
}

async function register(tenant: string, tie: object): Promise<{ status: number; body: Tied & { code: string } }> {
  const contentHash = createHash('sha256').update(randomBytes(8)).digest('hex');
  const body = JSON.stringify({ contentHash, deviceModel: 'a model', ...tie });
  const headers = { 'content-type': 'application/json' };
  return ask('/api/v1/photos/register', tenant, { method: 'POST', body, headers });
}

test('a photo leads to the span that made it, and a trace to its photos, for who may read traces', async () => {
  const tie = { traceId: hex(16), spanId: hex(8) };
  const { photoId } = (await register(ours, tie)).body;
  await register(ours, { traceId: hex(16) });
  const one = await ask<Tied>(`/api/v1/photos/${photoId}`, ours, { headers: READS_TRACES });
  assert.deepEqual([one.body.traceId, one.body.spanId], [tie.traceId, tie.spanId]);
  const list = await ask<{ data: Tied[] }>(`/api/v1/photos?traceId=${tie.traceId}`, ours, { headers: READS_TRACES });
  assert.deepEqual(
    list.body.data.map((photo) => [photo.photoId, photo.spanId]),
    [[photoId, tie.spanId]],
  );
});

test('without traces:read the photo is shown, its model call is not, and photos of a trace cannot be asked for', async () => {
  const tie = { traceId: hex(16), spanId: hex(8) };
  const { photoId } = (await register(ours, tie)).body;
  const one = await ask<Tied>(`/api/v1/photos/${photoId}`, ours);
  assert.equal(one.status, 200);
  assert.deepEqual([one.body.traceId, one.body.spanId], [null, null]);
  const list = await ask<{ data: Tied[] }>('/api/v1/photos', ours);
  for (const { traceId, spanId } of list.body.data) assert.deepEqual([traceId, spanId], [null, null]);
  const asked = await ask<{ code: string }>(`/api/v1/photos?traceId=${tie.traceId}`, ours);
  assert.deepEqual([asked.status, asked.body.code], [403, 'FORBIDDEN']);
});

test("another tenant that knows a trace's id finds none of its photos, nor the photo", async () => {
  const tie = { traceId: hex(16), spanId: hex(8) };
  const { photoId } = (await register(ours, tie)).body;
  const list = await ask<{ data: Tied[] }>(`/api/v1/photos?traceId=${tie.traceId}`, theirs, { headers: READS_TRACES });
  assert.deepEqual(list.body.data, []);
  assert.equal((await ask(`/api/v1/photos/${photoId}`, theirs, { headers: READS_TRACES })).status, 404);
  // the same id from another tenant is another trace
  await register(theirs, tie);
  const again = await ask<{ data: Tied[] }>(`/api/v1/photos?traceId=${tie.traceId}`, ours, { headers: READS_TRACES });
  assert.deepEqual(
    again.body.data.map((photo) => photo.photoId),
    [photoId],
  );
});

test('a span without its trace and an id that is none are refused', async () => {
  const spanId = hex(8);
  for (const tie of [{ spanId }, { traceId: hex(16), spanId: 'x' }, { traceId: hex(16), spanId: hex(16) }]) {
    const { status, body } = await register(ours, tie);
    assert.deepEqual([status, body.code], [400, 'VALIDATION_FAILED'], JSON.stringify(tie));
  }
});

test('the verdict of a registration is told: valid as it was signed, invalid when a row was changed', async () => {
  const { photoId } = (await register(ours, {})).body;
  const verdict = async (): Promise<string> => {
    const { body } = await ask<{ registration: { verdict: string } }>(`/api/v1/photos/${photoId}`, ours);
    return body.registration.verdict;
  };
  assert.equal(await verdict(), 'valid');
  await room.database.inTenant(ours, (sql) =>
    sql.query('update photos set content_hash = $2 where photo_id = $1', [photoId, randomBytes(32)]),
  );
  assert.equal(await verdict(), 'invalid');
});

const SUNSET = new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url);

/** A form with an image, by a caller with more scopes or without. */
function form(image: Uint8Array, tenant: string, headers: Record<string, string>, request?: object): RequestInit {
  const body = new FormData();
  if (request !== undefined) body.set('request', JSON.stringify(request));
  body.set('image', new Blob([new Uint8Array(image)]));
  return { method: 'POST', body, headers: { 'x-tenant': tenant, ...headers } };
}

const told = ([match]: Tied[]): unknown[] => [match?.photoId, match?.traceId, match?.spanId];

test('identify answers with the span to who may read traces; to others and to strangers with the photo alone', async () => {
  const sunset = await readFile(SUNSET);
  const contentHash = createHash('sha256').update(sunset).digest('hex');
  const tie = { traceId: hex(16), spanId: hex(8) };
  const request = { contentHash, deviceModel: 'a model', ...tie };
  const made = await fetch(`${served.url}/api/v1/photos/protect`, form(sunset, ours, {}, request));
  const image = new Uint8Array(await made.arrayBuffer());
  const photoId = made.headers.get('x-photo-id');
  const identified = async (tenant: string, headers = {}): Promise<Tied[]> => {
    const response = await fetch(`${served.url}/api/v1/photos/identify`, form(image, tenant, headers));
    return ((await response.json()) as { matches: Tied[] }).matches;
  };
  assert.deepEqual(told(await identified(ours, READS_TRACES)), [photoId, tie.traceId, tie.spanId]);
  assert.deepEqual(told(await identified(ours)), [photoId, null, null]);
  assert.deepEqual(await identified(theirs, READS_TRACES), []);
  await ask(`/api/v1/photos/${photoId}/publication`, ours, { method: 'PUT' });
  assert.deepEqual(told(await identified(theirs, READS_TRACES)), [photoId, null, null]);
  // what anybody reads: the file itself (it holds the manifest whole), as text and as bytes
  for (const id of [tie.traceId, tie.spanId]) {
    assert.equal(Buffer.from(image).includes(id), false);
    assert.equal(Buffer.from(image).includes(Buffer.from(id, 'hex')), false);
  }
  assert.ok(Buffer.from(image).includes(photoId ?? '-'));
});
