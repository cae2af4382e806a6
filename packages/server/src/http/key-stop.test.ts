// What the hard stop of a tenant's data key looks like from outside: writes wait with 503, reads go on, a rotation mends it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { NOW_MS, otlpJson } from '../ingest/fixtures/room.ts';
import { serve } from '../ingest/fixtures/serve.ts';
import { kekFromBytes } from '../keys/kek.ts';
import { hurriedRotation } from '../keys/tenant-rotation.fixture.ts';

const kek = kekFromBytes(randomBytes(32));
const served = await serve({ kek });
after(() => served.close());
const { database } = served.db;
const JSON_TYPE = { 'content-type': 'application/json' };
const endNs = BigInt(NOW_MS) * 1_000_000n;

function send(tenantId: string, traceId: string): Promise<Response> {
  const attributes = { 'gen_ai.prompt': 'still here' };
  const span = { traceId, spanId: 'b7ad6b7169203331', startNs: endNs - 1_000n, endNs, attributes };
  return served.post(tenantId, otlpJson([span], { 'service.name': 'shop' }), JSON_TYPE);
}

test('at 90 days spans are refused with 503 and Retry-After, what was kept is read, a new version takes them again', async () => {
  const tenantId = await served.newTenant();
  const [kept, refused] = ['a'.repeat(32), 'b'.repeat(32)];
  assert.equal((await send(tenantId, kept)).status, 200);
  await database.inTenant(tenantId, (sql) =>
    sql.query(`update tenant_keys set activated_at = now() - interval '90 days'`),
  );
  // as the next reading of it twenty seconds later
  served.tenantKeys.forget(tenantId);
  const answer = await send(tenantId, refused);
  assert.equal(answer.status, 503);
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
  const { status, body } = await served.get<{ prompt: string }>(tenantId, `/api/traces/${kept}`);
  assert.deepEqual([status, body.prompt], [200, 'still here']);
  await hurriedRotation({ database, kek, tenantKeys: served.tenantKeys }).rotate(tenantId);
  served.tenantKeys.forget(tenantId);
  // what was refused was not kept: sent again it is
  assert.equal((await served.get(tenantId, `/api/traces/${refused}`)).status, 404);
  assert.equal((await send(tenantId, refused)).status, 200);
  assert.equal((await served.get(tenantId, `/api/traces/${refused}`)).status, 200);
});
