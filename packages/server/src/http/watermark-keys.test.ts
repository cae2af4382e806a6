import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { testRoom, type TestRoom } from '../photos/fixtures/room.ts';
import { serve, type Served } from '../photos/fixtures/serve.ts';
import { watermarkKeyRoutes } from './watermark-keys.ts';

let room: TestRoom;
let served: Served;
before(async () => {
  room = await testRoom();
  served = await serve(watermarkKeyRoutes(room));
});
after(async () => {
  served.close();
  await room.close();
});

async function ask(method: string, tenant: string, version = ''): Promise<{ status: number; body: unknown }> {
  const url = `${served.url}/api/v1/photos/watermark-keys${version}`;
  const response = await fetch(url, { method, headers: { 'x-tenant': tenant } });
  return { status: response.status, body: await response.json() };
}

async function audited(tenant: string): Promise<string[]> {
  const { rows } = await room.database.inTenant(tenant, (sql) =>
    sql.query<{ line: string }>(`select action || ' ' || object as line from audit where tenant_id = $1 order by seq`, [
      tenant,
    ]),
  );
  return rows.map(({ line }) => line);
}

test('versions are listed, made and retired, each with its audit line, and never another tenant’s', async () => {
  const [ours, theirs] = [await room.newTenant(), await room.newTenant()];
  assert.deepEqual((await ask('POST', ours)).body, { version: 1 });
  assert.deepEqual((await ask('POST', ours)).body, { version: 2 });
  assert.equal((await ask('DELETE', theirs, '/1')).status, 404);
  assert.equal((await ask('DELETE', ours, '/2')).status, 404, 'what marks is not retired');
  assert.equal((await ask('DELETE', ours, '/1')).status, 200);
  assert.equal((await ask('DELETE', ours, '/1')).status, 404, 'twice');
  const { data } = (await ask('GET', ours)).body as { data: { version: number; state: string; retiredAt: unknown }[] };
  assert.deepEqual(
    data.map(({ version, state, retiredAt }) => [version, state, retiredAt === null]),
    [
      [2, 'active', true],
      [1, 'retired', false],
    ],
  );
  assert.ok(!JSON.stringify(data).includes('secret'));
  assert.deepEqual(await audited(ours), [
    'watermark-key.rotate watermark-key:1',
    'watermark-key.rotate watermark-key:2',
    'watermark-key.retire watermark-key:1',
  ]);
  assert.deepEqual(await audited(theirs), []);
});
