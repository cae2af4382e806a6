// Data keys of tenants: sealed bytes open with the same purpose, row and tenant only, whoever made the key first.
import assert from 'node:assert/strict';
import { createDecipheriv, hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { testDatabase } from '../test/harness.ts';
import { createInstallationKeys } from './installation-keys.ts';
import type { Aad } from '../storage/sealed.ts';
import { kekFromBytes } from './kek.ts';
import { createTenantKeys, tenantKeyFromBytes } from './tenant-keys.ts';

const aad = (text: string): Aad => text as Aad;
const db = await testDatabase();
after(() => db.close());
const { database } = db;
const kek = kekFromBytes(randomBytes(32));

async function newTenant(): Promise<string> {
  const tenantId = randomUUID();
  await database.inTenant(tenantId, (sql) =>
    sql.query(`insert into tenants (tenant_id, name) values ($1, 'test')`, [tenantId]),
  );
  return tenantId;
}

const fixed = (secret = Buffer.alloc(32, 7), tenantId = 'tenant', version = 1): ReturnType<typeof tenantKeyFromBytes> =>
  tenantKeyFromBytes(tenantId, version, new Map([[version, secret]]));

test('what is sealed opens again, empty and large', () => {
  const key = fixed();
  for (const plain of [Buffer.alloc(0), Buffer.from('geheim'), randomBytes(5_000_000)]) {
    assert.deepEqual(key.open('content', aad('spans|1'), key.seal('content', aad('spans|1'), plain)), plain);
  }
});

test('the layout is the documented one, and another implementation of the standard opens it', () => {
  const secret = Buffer.alloc(32, 7);
  const sealed = fixed(secret).seal('preview', aad('traces|row'), Buffer.from('hello'));
  assert.equal(sealed.length, 1 + 1 + 4 + 12 + 5 + 16);
  assert.deepEqual([...sealed.subarray(0, 6)], [1, 1, 0, 0, 0, 1]);
  const derived = Buffer.from(hkdfSync('sha256', secret, 'tenant', 'lumatrace|preview|seal', 32));
  const decipher = createDecipheriv('aes-256-gcm', derived, sealed.subarray(6, 18), { authTagLength: 16 });
  decipher.setAAD(Buffer.from('preview|traces|row|tenant|1'));
  decipher.setAuthTag(sealed.subarray(-16));
  assert.equal(decipher.update(sealed.subarray(18, -16)).toString() + decipher.final().toString(), 'hello');
});

test('other purpose, row, tenant, secret, a changed or a missing byte: refused with a code', () => {
  const key = fixed();
  const sealed = key.seal('content', aad('row-1'), Buffer.from('hello'));
  const refused = { code: 'KEY_REFUSED' };
  assert.throws(() => key.open('preview', aad('row-1'), sealed), refused);
  assert.throws(() => key.open('content', aad('row-2'), sealed), refused);
  assert.throws(() => fixed(undefined, 'other').open('content', aad('row-1'), sealed), refused);
  assert.throws(() => fixed(Buffer.alloc(32, 8)).open('content', aad('row-1'), sealed), refused);
  for (let at = 6; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.throws(() => key.open('content', aad('row-1'), changed), refused, `byte ${at}`);
  }
  for (let length = 0; length < sealed.length; length++) {
    const code = length < 34 ? 'KEY_MALFORMED' : 'KEY_REFUSED';
    assert.throws(() => key.open('content', aad('row-1'), sealed.subarray(0, length)), { code }, `${length} bytes`);
  }
  assert.throws(() => key.open('content', aad('row-1'), Buffer.concat([sealed, Buffer.alloc(1)])), refused);
  for (const at of [0, 1]) {
    const changed = Buffer.from(sealed);
    changed[at] = 9;
    assert.throws(() => key.open('content', aad('row-1'), changed), { code: 'KEY_MALFORMED' });
  }
});

test('two seals of the same bytes share neither nonce nor text', () => {
  const key = fixed();
  const seen = new Set<string>();
  for (let i = 0; i < 2_000; i++)
    seen.add(key.seal('content', aad('a'), Buffer.from('x')).subarray(6, 18).toString('hex'));
  assert.equal(seen.size, 2_000);
});

test('old versions open, new ones seal, unknown ones are named', () => {
  const versions = new Map([
    [1, Buffer.alloc(32, 1)],
    [2, Buffer.alloc(32, 2)],
  ]);
  const old = tenantKeyFromBytes('tenant', 1, versions).seal('content', aad('a'), Buffer.from('old'));
  const key = tenantKeyFromBytes('tenant', 2, versions);
  assert.equal(key.open('content', aad('a'), old).toString(), 'old');
  const sealed = key.seal('content', aad('a'), Buffer.from('new'));
  assert.equal(sealed.readUInt32BE(2), 2);
  assert.throws(() => fixed().open('content', aad('a'), sealed), { code: 'KEY_UNKNOWN_VERSION' });
});

test('derived keys differ by purpose and text, and stay when sealing rotates', () => {
  const key = fixed();
  const watermark = key.derive('watermark', 'photo-1');
  assert.equal(watermark.length, 32);
  assert.deepEqual(watermark, key.derive('watermark', 'photo-1'));
  assert.notDeepEqual(watermark, key.derive('watermark', 'photo-2'));
  assert.notDeepEqual(watermark, key.derive('blind-index', 'photo-1'));
  const rotated = tenantKeyFromBytes(
    'tenant',
    2,
    new Map([
      [1, Buffer.alloc(32, 7)],
      [2, Buffer.alloc(32, 2)],
    ]),
  );
  assert.deepEqual(rotated.derive('watermark', 'photo-1'), watermark);
});

test('twenty processes that need the first key at once get the same one', async () => {
  const tenantId = await newTenant();
  const keys = await Promise.all(
    Array.from({ length: 20 }, () => createTenantKeys({ database, kek }).forTenant(tenantId)),
  );
  const sealed = keys[0]?.seal('content', aad('a'), Buffer.from('one'));
  assert.ok(sealed);
  for (const key of keys) assert.equal(key.open('content', aad('a'), sealed).toString(), 'one');
  const rows = await database.inTenant(tenantId, (sql) => sql.query('select from tenant_keys'));
  assert.equal(rows.rowCount, 1);
});

test('the stored key is wrapped for its tenant and version under this KEK only', async () => {
  const [a, b] = [await newTenant(), await newTenant()];
  const keys = createTenantKeys({ database, kek });
  await Promise.all([keys.forTenant(a), keys.forTenant(b)]);
  const wrappedOf = (tenantId: string): Promise<Buffer> =>
    database.inTenant(tenantId, async (sql) => {
      const { rows } = await sql.query<{ wrapped: Buffer }>('select wrapped from tenant_keys');
      return rows[0]?.wrapped ?? Buffer.alloc(0);
    });
  const foreign = await wrappedOf(a);
  await database.inTenant(b, (sql) => sql.query('update tenant_keys set wrapped = $1', [foreign]));
  await assert.rejects(createTenantKeys({ database, kek }).forTenant(b), { code: 'KEY_REFUSED' });
  const otherKek = kekFromBytes(randomBytes(32));
  await assert.rejects(createTenantKeys({ database, kek: otherKek }).forTenant(a), { code: 'KEY_REFUSED' });
  const newKek = kekFromBytes(randomBytes(32), 2);
  await assert.rejects(createTenantKeys({ database, kek: newKek }).forTenant(a), { code: 'KEY_UNKNOWN_VERSION' });
  assert.throws(() => kekFromBytes(randomBytes(31)), TypeError);
});

test('a failed load is tried again, and a destroyed key is noticed within a minute', async () => {
  const tenantId = await newTenant();
  let nowMs = 0;
  const keys = createTenantKeys({ database, kek, nowMs: () => nowMs });
  const { inTenant } = database;
  Object.assign(database, { inTenant: () => Promise.reject(new Error('gone')) });
  await assert.rejects(keys.forTenant(tenantId), /gone/);
  Object.assign(database, { inTenant });
  await keys.forTenant(tenantId);
  await database.inTenant(tenantId, (sql) =>
    sql.query(`update tenant_keys set state = 'destroyed', wrapped = '', destroyed_at = now()`),
  );
  await keys.forTenant(tenantId);
  nowMs += 60_000;
  await assert.rejects(keys.forTenant(tenantId), { code: 'TENANT_RESTRICTED' });
});

test('an unknown tenant has no key', async () => {
  await assert.rejects(createTenantKeys({ database, kek }).forTenant(randomUUID()));
});

test('secrets of the installation are random, wrapped, and the same for every process', async () => {
  const [one, two] = [createInstallationKeys({ database, kek }), createInstallationKeys({ database, kek })];
  const [a, b] = await Promise.all([one.secret('cursor'), two.secret('cursor')]);
  assert.deepEqual(a, b);
  assert.equal(a.secret.length, 32);
  assert.notDeepEqual(a.secret, (await one.secret('session')).secret);
  const { rows } = await database.inSystem((sql) =>
    sql.query<{ wrapped: Buffer }>('select wrapped from installation_keys'),
  );
  for (const { wrapped } of rows) assert.ok(!wrapped.includes(a.secret));
  const other = createInstallationKeys({ database, kek: kekFromBytes(randomBytes(32)) });
  await assert.rejects(other.secret('cursor'), { code: 'KEY_REFUSED' });
});
