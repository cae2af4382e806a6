// Routes of the tenant's data key: versions with their states, progress, and a rotation with its audit line.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { serve } from '../photos/fixtures/serve.ts';
import { testRoom } from '../photos/fixtures/room.ts';
import { kekFromBytes } from '../keys/kek.ts';
import { createKeyInventory } from '../keys/key-inventory.ts';
import { hurriedRotation } from '../keys/tenant-rotation.fixture.ts';
import { SEALED_PLACES } from '../storage/sealed.ts';
import { keyInventoryRoutes } from './key-inventory.ts';
import { auditKeyEvent, tenantKeyRoutes } from './tenant-keys.ts';

const room = await testRoom();
const { database } = room;
const kek = kekFromBytes(Buffer.alloc(32, 5));
const record = auditKeyEvent('system', 'rotation');
const rotation = hurriedRotation({ database, kek, settledMs: 300, record });
const served = await serve([
  ...tenantKeyRoutes({ rotation }),
  ...keyInventoryRoutes({ keyInventory: createKeyInventory({ database }) }),
]);
after(async () => {
  served.close();
  await room.close();
});

interface Listed {
  data: Array<{ version: number; state: string; seals: number }>;
  reencryption: Array<{ place: string; version: number; done: boolean }>;
}

async function ask<T>(method: string, path: string, tenant: string): Promise<T> {
  const response = await fetch(served.url + path, { method, headers: { 'x-tenant': tenant } });
  assert.equal(response.status, 200);
  return (await response.json()) as T;
}
const listed = (tenant: string): Promise<Listed> => ask('GET', '/api/v1/tenant-keys', tenant);
const statesOf = async (tenant: string): Promise<string[]> =>
  (await listed(tenant)).data.map(({ version, state }) => `${version} ${state}`);

test('a version is coming, active, opens only, is gone; each step has its audit line; another tenant sees none', async () => {
  const [tenant, other] = [await room.newTenant(), await room.newTenant()];
  const made = await ask<{ version: number }>('POST', '/api/v1/tenant-keys', tenant);
  assert.equal(made.version, 2);
  assert.deepEqual(await statesOf(tenant), ['2 coming', '1 active']);
  // asked again while it is on its way
  assert.deepEqual(await ask('POST', '/api/v1/tenant-keys', tenant), { version: 2 });
  await new Promise((resolve) => setTimeout(resolve, 350));
  // what this process holds was read before
  const later = hurriedRotation({ database, kek, record });
  await later.work(new AbortController().signal);
  assert.deepEqual(await statesOf(tenant), ['2 active', '1 destroyed']);
  const { reencryption } = await listed(tenant);
  assert.equal(reencryption.length, SEALED_PLACES.length);
  assert.ok(reencryption.every(({ version, done }) => version === 2 && done));
  assert.deepEqual(await statesOf(other), []);
  const { rows } = await database.inTenant(tenant, (sql) =>
    sql.query<{ line: string }>(`select actor || ' ' || action || ' ' || object as line from audit order by position`),
  );
  assert.deepEqual(
    rows.map(({ line }) => line),
    [
      `${rows[0]?.line.split(' ')[0]} tenant-key.rotate tenant-key:2`,
      'system tenant-key.supersede tenant-key:1',
      'system tenant-key.destroy tenant-key:1',
    ],
  );
  assert.doesNotMatch(rows[0]?.line ?? '', /^system/);
  const { data } = await ask<{ data: Array<{ kind: string; id: string; state: string; rotateAt: string | null }> }>(
    'GET',
    '/api/v1/key-inventory',
    tenant,
  );
  const own = data.filter(({ kind }) => kind === 'tenant-data');
  assert.deepEqual(
    own.map(({ id, state, rotateAt }) => [id, state, rotateAt !== null]),
    [
      ['2', 'active', true],
      ['1', 'ended', false],
      ['root', 'active', false],
    ],
  );
});
