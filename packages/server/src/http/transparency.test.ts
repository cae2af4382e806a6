// The transparency log over HTTP: a photo's receipts for its owner, and what a stranger needs to check them.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { logOfPem, readCheckpoint } from '@lumatrace/provenance/log/checkpoint.ts';
import { checkReceipt, hashesOf, type Receipt } from '@lumatrace/provenance/log/receipt.ts';
import { isConsistent } from '@lumatrace/provenance/log/tree.ts';
import { serve, type Served } from '../photos/fixtures/serve.ts';
import { testRoom, type TestRoom } from '../photos/fixtures/room.ts';
import { photoRoutes } from './photos.ts';
import { transparencyRoutes } from './transparency.ts';
import { watermarkKeyRoutes } from './watermark-keys.ts';

let room: TestRoom;
let served: Served;
let tenant: string;
let image: Uint8Array<ArrayBuffer>;

before(async () => {
  room = await testRoom();
  const routes = [...photoRoutes(room), ...watermarkKeyRoutes(room)];
  served = await serve([...routes, ...transparencyRoutes({ log: room.log, photos: room })]);
  tenant = await room.newTenant();
  image = new Uint8Array(await readFile(new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url)));
});
after(async () => {
  served.close();
  await room.close();
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const ask = (path: string, init: RequestInit = {}, of = tenant): Promise<Response> =>
  fetch(served.url + path, { ...init, headers: { 'x-tenant': of, ...(init.headers as Record<string, string>) } });
const get = async <T>(path: string): Promise<T> => (await (await ask(path)).json()) as T;

async function protect(key: string): Promise<Response> {
  const form = new FormData();
  form.set('image', new Blob([image]), 'image');
  form.set('request', JSON.stringify({ contentHash: sha256(image), deviceModel: 'X' }));
  return ask('/api/v1/photos/protect', { method: 'POST', body: form, headers: { 'idempotency-key': key } });
}

const receiptIn = (response: Response): Receipt =>
  JSON.parse(Buffer.from(response.headers.get('lumatrace-log-receipt') ?? '', 'base64url').toString('utf8')) as Receipt;

test('a protected file comes with a receipt that becomes whole, also when it is asked for again', async () => {
  const key = randomUUID();
  const response = await protect(key);
  assert.equal(response.status, 200);
  const output = sha256(new Uint8Array(await response.arrayBuffer()));
  const early = receiptIn(response);
  assert.deepEqual(receiptIn(await protect(key)), early);
  const log = logOfPem((await get<{ publicKey: string }>('/api/v1/log/key')).publicKey);
  assert.equal(checkReceipt(early, log, output).verdict, 'unknown');
  assert.equal((await ask(`/api/v1/log/proof?leafHash=${early.leafHash}`)).status, 404);
  await room.log.sequence();
  const found = await get<object>(`/api/v1/log/proof?leafHash=${early.leafHash}`);
  assert.equal(checkReceipt({ ...early, ...found }, log, output).verdict, 'included');
  const photoId = response.headers.get('x-photo-id') ?? '';
  const { data } = await get<{ data: Receipt[] }>(`/api/v1/photos/${photoId}/log-proof`);
  assert.equal(data.length, 1);
  assert.equal(checkReceipt(data[0], log, output).verdict, 'included');
  assert.equal(checkReceipt(data[0], log, sha256(image)).verdict, 'included', 'the original is named too');
  assert.equal(checkReceipt(data[0], log, sha256(Buffer.from('another'))).verdict, 'refused');
});

test('a registration answers its receipt in the JSON', async () => {
  const body = JSON.stringify({ contentHash: sha256(Buffer.from('a file')), deviceModel: 'X' });
  const response = await ask('/api/v1/photos/register', {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  });
  const { photoId, logReceipt } = (await response.json()) as { photoId: string; logReceipt: Receipt };
  const { entry } = checkReceipt(logReceipt, room.log.identity, sha256(Buffer.from('a file')));
  assert.equal(entry?.object, `photo:${photoId}`);
  assert.equal(entry.action, 'photo.register');
});

test('a kept checkpoint is shown to be the beginning of a later one', async () => {
  const log = logOfPem((await get<{ publicKey: string }>('/api/v1/log/key')).publicKey);
  const before = readCheckpoint(log, await (await ask('/api/v1/log/checkpoint')).text());
  for (let i = 0; i < 5; i++)
    await room.database.inTenant(tenant, (sql) =>
      room.log.append(sql, { tenantId: tenant, object: 'key:test', action: 'key.test', sha256: {} }),
    );
  await room.log.sequence();
  const now = readCheckpoint(log, await (await ask('/api/v1/log/checkpoint')).text());
  const { proof } = await get<{ proof: string[] }>(`/api/v1/log/consistency?first=${before.size}`);
  assert.ok(isConsistent(before, now, hashesOf(proof)));
  const { leafHashes } = await get<{ leafHashes: string[] }>('/api/v1/log/entries?limit=5000');
  assert.equal(leafHashes.length, now.size);
  const at = await get<{ checkpoint: string | null }>(`/api/v1/log/proof?leafIndex=0&treeSize=${before.size}`);
  assert.equal(at.checkpoint, null);
});

test('a new version of the watermark’s key and its end are entries too', async () => {
  const { watermarkKeys, log } = room;
  await watermarkKeys.forMarking(tenant);
  await ask('/api/v1/photos/watermark-keys', { method: 'POST' });
  assert.equal((await ask('/api/v1/photos/watermark-keys/1', { method: 'DELETE' })).status, 200);
  const actionsOf = async (object: string): Promise<unknown[]> =>
    (await log.receiptsOf(tenant, object)).map(({ entry }) => (JSON.parse(entry) as { action: string }).action);
  assert.deepEqual(await actionsOf('watermark-key:2'), ['watermark-key.rotate']);
  assert.deepEqual(await actionsOf('watermark-key:1'), ['watermark-key.retire']);
});

test('strangers get hashes only; another tenant’s photo is none', async () => {
  const public_ = await (await ask('/api/v1/log/entries')).text();
  assert.ok(!public_.includes(tenant));
  const { photoId } = (await (
    await ask('/api/v1/photos/register', {
      method: 'POST',
      body: JSON.stringify({ contentHash: 'ab'.repeat(32), deviceModel: 'X' }),
      headers: { 'content-type': 'application/json' },
    })
  ).json()) as { photoId: string };
  const theirs = await ask(`/api/v1/photos/${photoId}/log-proof`, {}, await room.newTenant());
  assert.equal(theirs.status, 404);
  assert.equal((await ask(`/api/v1/photos/${photoId}/log-proof`)).status, 200);
  assert.equal((await ask('/api/v1/photos/none/log-proof')).status, 404);
});

test('what cannot be proved is refused by code', async () => {
  for (const path of [
    'proof',
    'proof?leafHash=xyz',
    'proof?leafIndex=-1',
    'proof?leafIndex=99999999',
    `proof?leafIndex=1&leafHash=${'0'.repeat(64)}`,
    'consistency',
    'consistency?first=0',
    'consistency?first=2&second=1',
    'consistency?first=1&second=99999999',
    'entries?limit=5001',
  ]) {
    const response = await ask(`/api/v1/log/${path}`);
    assert.equal(response.status, 400, path);
    assert.equal(((await response.json()) as { code: string }).code, 'VALIDATION_FAILED');
  }
  assert.equal((await ask(`/api/v1/log/proof?leafHash=${'0'.repeat(64)}`)).status, 404);
});
