import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createKeyInventory } from '../keys/key-inventory.ts';
import { createPhotoCredentials, type PhotoCredentials } from '../keys/photo-credentials.ts';
import { SignerProcess } from '../keys/signer/client.ts';
import { wrappingKeyFrom } from '../keys/signer/protocol.ts';
import { testRoom, type TestRoom } from '../photos/fixtures/room.ts';
import { serve, type Served } from '../photos/fixtures/serve.ts';
import { keyInventoryRoutes } from './key-inventory.ts';

const DAY_MS = 86_400_000;
let nowMs = Date.now();
let room: TestRoom;
let served: Served;
let folder: string;
let signer: SignerProcess;
let credentials: PhotoCredentials;

before(async () => {
  room = await testRoom();
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-inventory-'));
  signer = await SignerProcess.start({ wrappingKey: wrappingKeyFrom(randomBytes(32)), directory: join(folder, 'run') });
  credentials = createPhotoCredentials({
    database: room.database,
    signer,
    recoveryKitDir: join(folder, 'recovery-kit'),
    organization: 'Test',
    softBindingAlg: 'org.lumatrace.watermark.1',
    nowMs: () => nowMs,
  });
  await credentials.renew();
  const keyInventory = createKeyInventory({ database: room.database, nowMs: () => nowMs });
  served = await serve(keyInventoryRoutes({ keyInventory }));
});

after(async () => {
  served.close();
  await signer.close();
  await room.close();
  await rm(folder, { recursive: true, force: true });
});

interface Shown {
  kind: string;
  id: string;
  createdAt: string;
  rotateAt: string | null;
  endsAt: string | null;
  state: string;
}

async function inventory(tenant: string): Promise<Shown[]> {
  const response = await fetch(`${served.url}/api/v1/key-inventory`, { headers: { 'x-tenant': tenant } });
  assert.equal(response.status, 200);
  return ((await response.json()) as { data: Shown[] }).data;
}

const states = (keys: readonly Shown[], kind: string): string[] =>
  keys.filter((key) => key.kind === kind).map(({ state }) => state);

test('every kind is listed with its dates, and a tenant’s own keys to that tenant alone', async () => {
  const [ours, theirs] = [await room.newTenant(), await room.newTenant()];
  await room.tenantKeys.forTenant(ours);
  await room.watermarkKeys.rotate(ours, async () => undefined);
  await room.watermarkKeys.rotate(ours, async () => undefined);
  const keys = await inventory(ours);
  assert.deepEqual(states(keys, 'watermark'), ['active', 'verifying']);
  assert.deepEqual(states(keys, 'tenant-data'), ['active']);
  for (const kind of ['c2pa-root', 'c2pa-issuing-ca', 'c2pa-leaf', 'registration'])
    assert.deepEqual(states(keys, kind), ['active'], kind);
  const leaf = keys.find(({ kind }) => kind === 'c2pa-leaf')!;
  assert.equal(Date.parse(leaf.rotateAt!) - Date.parse(leaf.createdAt), 60 * DAY_MS);
  assert.ok(Date.parse(leaf.endsAt!) - Date.parse(leaf.createdAt) <= 90 * DAY_MS);
  assert.deepEqual(states(await inventory(theirs), 'watermark'), []);
});

test('a leaf is due at sixty days; renewed, the old one only verifies; at ninety it has ended', async () => {
  const tenant = await room.newTenant();
  nowMs += 60 * DAY_MS;
  assert.deepEqual(states(await inventory(tenant), 'c2pa-leaf'), ['due']);
  await credentials.renew();
  assert.deepEqual(states(await inventory(tenant), 'c2pa-leaf'), ['active', 'verifying']);
  nowMs += 30 * DAY_MS;
  assert.deepEqual(states(await inventory(tenant), 'c2pa-leaf'), ['active', 'ended']);
});

test('the answer holds neither wrapped nor public key bytes', async () => {
  const text = JSON.stringify(await inventory(await room.newTenant()));
  const { rows } = await room.database.inSystem((sql) =>
    sql.query<{ bytes: Buffer }>(`
      select public_spki as bytes from photo_keys
      union all select wrapped_private from photo_keys where wrapped_private is not null
      union all select wrapped from installation_keys
    `),
  );
  assert.ok(rows.length > 6);
  for (const { bytes } of rows)
    for (const encoding of ['hex', 'base64', 'base64url'] as const)
      assert.ok(!text.includes(bytes.toString(encoding).slice(0, 60)));
});

test('the key of the transparency log is listed by what the log is named after', async () => {
  const [key, ...more] = (await inventory(await room.newTenant())).filter(({ kind }) => kind === 'log');
  assert.equal(more.length, 0);
  assert.equal(`lumatrace/log/${key?.id}`, room.log.identity.origin);
  assert.equal(key?.state, 'active');
});
