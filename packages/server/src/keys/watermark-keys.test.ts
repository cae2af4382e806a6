// Versions of the watermark's keys: who marks, who reads, and what happens when two rotate at once.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { testRoom, type TestRoom } from '../photos/fixtures/room.ts';
import { createInstallationKeys, SETTLED_MS } from './installation-keys.ts';
import { kekFromBytes } from './kek.ts';

let room: TestRoom;
before(async () => {
  room = await testRoom();
});
after(() => room.close());

test('the first version is made on first use; a new one marks at once and the old one reads', async () => {
  const tenantId = await room.newTenant();
  const { watermarkKeys } = room;
  const first = await watermarkKeys.forMarking(tenantId);
  assert.equal(first.payload.version, 1);
  assert.equal(await watermarkKeys.rotate(tenantId), 2);
  const second = await watermarkKeys.forMarking(tenantId);
  assert.equal(second.payload.version, 2);
  assert.notDeepEqual(second.payload.secret, first.payload.secret);
  const { payloads } = await watermarkKeys.forReading(tenantId);
  assert.deepEqual(
    payloads.map(({ version }) => version),
    [2, 1],
  );
  assert.deepEqual(payloads[1]?.secret, first.payload.secret);
});

test('keys of two tenants differ, and so do their versions', async () => {
  const [one, other] = [await room.newTenant(), await room.newTenant()];
  const secrets = [one, other].map(async (tenantId) => (await room.watermarkKeys.forMarking(tenantId)).payload.secret);
  const [a, b] = await Promise.all(secrets);
  assert.notDeepEqual(a, b);
});

test('three versions are read, older ones are kept and not tried', async () => {
  const tenantId = await room.newTenant();
  await room.watermarkKeys.forMarking(tenantId);
  for (let i = 0; i < 4; i++) await room.watermarkKeys.rotate(tenantId);
  const { payloads } = await room.watermarkKeys.forReading(tenantId);
  assert.deepEqual(
    payloads.map(({ version }) => version),
    [5, 4, 3],
  );
  assert.equal((await room.watermarkKeys.ofVersions(tenantId, 1, 1)).payload.version, 1);
});

test('two rotations at once leave one version in force', async () => {
  const tenantId = await room.newTenant();
  await room.watermarkKeys.forMarking(tenantId);
  await Promise.all(Array.from({ length: 6 }, () => room.watermarkKeys.rotate(tenantId)));
  const rows = await room.watermarkKeys.list(tenantId);
  assert.equal(rows.filter(({ state }) => state === 'active').length, 1);
  assert.equal(rows[0]?.state, 'active');
});

const failing = (): Promise<void> => Promise.reject(new Error('no audit line'));

test('a rotation whose record cannot be written did not happen', async () => {
  const tenantId = await room.newTenant();
  await room.watermarkKeys.forMarking(tenantId);
  await assert.rejects(room.watermarkKeys.rotate(tenantId, failing), /no audit line/);
  assert.equal((await room.watermarkKeys.forMarking(tenantId)).payload.version, 1);
  await room.watermarkKeys.rotate(tenantId);
  await assert.rejects(room.watermarkKeys.retire(tenantId, 1, failing), /no audit line/);
  assert.equal((await room.watermarkKeys.list(tenantId))[1]?.state, 'reading');
});

test('new lines are read with before they mark, in every process', async () => {
  const { database } = room.db;
  const kek = kekFromBytes(randomBytes(32));
  await database.inSystem((sql) => sql.query(`delete from installation_keys where name = 'watermark-sync'`));
  let nowMs = 0;
  const [one, other] = [1, 2].map(() => createInstallationKeys({ database, kek, nowMs: () => nowMs }));
  assert.ok(one && other);
  const versions = async (keys: typeof one): Promise<number[]> =>
    (await keys.versions('watermark-sync')).map(({ version }) => version);
  // it was there long before
  await one.secret('watermark-sync');
  await database.inSystem((sql) =>
    sql.query(`update installation_keys set created_at = now() - interval '1 day' where name = 'watermark-sync'`),
  );
  const fresh = createInstallationKeys({ database, kek, nowMs: () => nowMs });
  assert.deepEqual(await versions(other), [1]);
  assert.equal(await fresh.rotate('watermark-sync'), 2);
  assert.deepEqual(await versions(fresh), [2, 1]);
  assert.equal((await fresh.secret('watermark-sync')).version, 1);
  // the other process reads again after a while, and answers from what it has until then
  nowMs += SETTLED_MS / 2;
  assert.deepEqual(await versions(other), [1]);
  while ((await versions(other)).length === 1) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal((await other.secret('watermark-sync')).version, 1);
  nowMs += SETTLED_MS;
  assert.equal((await other.secret('watermark-sync')).version, 2);
  assert.equal((await fresh.secret('watermark-sync')).version, 2);
});

test('what marked a photo stands first however old it is, and is not tried once it was retired', async () => {
  const tenantId = await room.newTenant();
  const { sync } = await room.watermarkKeys.forMarking(tenantId);
  for (let i = 0; i < 4; i++) await room.watermarkKeys.rotate(tenantId);
  const tried = async (): Promise<number[]> => {
    const marked = { syncVersion: sync.version, payloadVersion: 1 };
    return (await room.watermarkKeys.forReading(tenantId, marked)).payloads.map(({ version }) => version);
  };
  assert.deepEqual(await tried(), [1, 5, 4]);
  await room.watermarkKeys.retire(tenantId, 1);
  assert.deepEqual(await tried(), [5, 4, 3]);
});
