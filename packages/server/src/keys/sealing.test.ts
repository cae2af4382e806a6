// Manifests of earlier versions: read as they are, sealed by the nightly job, read the same afterwards.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { findManifest } from '../storage/postgres/photos.ts';
import { insertTenant } from '../storage/postgres/tenants.ts';
import { keepSeals, sealsOf } from '../storage/seals.ts';
import { testDatabase, type TestDatabase } from '../test/harness.ts';
import { sealOpenManifests } from './sealing.ts';

const MANIFEST = Buffer.from('a manifest by Anna Author');
let db: TestDatabase;
before(async () => void (db = await testDatabase()));
after(() => db.close());

/** As a version before this one wrote it. */
async function openManifests(count: number): Promise<{ tenantId: string; photoIds: string[] }> {
  const tenantId = randomUUID();
  const photoIds = Array.from({ length: count }, () => randomUUID());
  await db.database.inTenant(tenantId, async (sql) => {
    await insertTenant(sql, { tenantId, name: 'Test' });
    await sql.query(
      `insert into photos (tenant_id, photo_id, content_hash, device_model, registered_at, registered_signature, registered_key_id)
        select $1, id, $3, '', now(), '', 'k' from unnest($2::uuid[]) as id`,
      [tenantId, photoIds, randomBytes(32)],
    );
    await sql.query(
      `insert into protections (tenant_id, photo_id, format, width, height, orientation, output_bytes, output_sha256,
          unsigned_sha256, manifest_store, manifest_sha256, certificate_kid, fingerprint, protected_at)
        select $1, id, 'jpeg', 1, 1, 1, 1, $3, $3, $4, $3, 'k', $3, now() from unnest($2::uuid[]) as id`,
      [tenantId, photoIds, randomBytes(32), MANIFEST],
    );
  });
  return { tenantId, photoIds };
}

const read = (tenantId: string, photoId: string): ReturnType<typeof findManifest> =>
  db.database.inTenant(tenantId, (sql) => findManifest(sql, tenantId, photoId));

async function inClear(): Promise<number> {
  const { rows } = await db.database.inSystem(async (sql) => {
    await sql.query(`select set_config('app.backup', 'on', true)`);
    return sql.query<{ n: number }>(
      'select count(*)::int as n from protections where position($1::bytea in manifest_store) > 0',
      [MANIFEST],
    );
  });
  return rows[0]?.n ?? -1;
}

test('each is sealed once, by however many at once, and reads the same before and after', async () => {
  const many = await openManifests(120);
  const few = await openManifests(3);
  assert.equal(await inClear(), 123);
  assert.deepEqual((await read(few.tenantId, few.photoIds[0]!))?.manifestStore, MANIFEST);
  const sealed = await Promise.all([sealOpenManifests(db.database), sealOpenManifests(db.database)]);
  assert.equal(sealed[0] + sealed[1], 123);
  assert.equal(await sealOpenManifests(db.database), 0);
  assert.equal(await inClear(), 0);
  for (const { tenantId, photoIds } of [many, few])
    assert.deepEqual((await read(tenantId, photoIds[2]!))?.manifestStore, MANIFEST);
  assert.equal(await read(few.tenantId, many.photoIds[0]!), null);
});

test('a tenant whose key was destroyed holds up nobody else', async () => {
  const erased = await openManifests(2);
  const other = await openManifests(2);
  const { tenant } = sealsOf({ door: db.database });
  keepSeals(db.database, {
    tenant: (id) =>
      id === erased.tenantId
        ? Promise.reject(Object.assign(new Error('erased'), { code: 'TENANT_RESTRICTED' }))
        : tenant(id),
  });
  assert.equal(await sealOpenManifests(db.database), 2);
  assert.deepEqual((await read(other.tenantId, other.photoIds[0]!))?.manifestStore, MANIFEST);
});
