// Sealing again: every place is gone through, in steps that may end anywhere, and what was sealed stays what it was.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { zstdDecompressSync } from 'node:zlib';
import { testRoom } from '../ingest/fixtures/room.ts';
import type { Database, Sql } from '../storage/database.ts';
import { nameOf } from '../storage/postgres/reencryption.ts';
import { SEALED_PLACES } from '../storage/sealed.ts';
import { CONTENT, openAll, sealRows, type Opened } from '../test/sealed-rows.ts';
import { kekFromBytes } from './kek.ts';
import { createTenantKeys } from './tenant-keys.ts';
import { hurriedRotation } from './tenant-rotation.fixture.ts';
import type { TenantRotation, TenantRotationOptions } from './tenant-rotation.ts';

const FIXTURE = fileURLToPath(new URL('./reencryption.fixture.ts', import.meta.url));
const kekBytes = randomBytes(32);
const kek = kekFromBytes(kekBytes);
const room = await testRoom({ kek });
after(() => room.close());
const { database } = room.db;
const NEVER = new AbortController().signal;

/** Its keys are read from the whole database, also where the rest of it dies. */
const rotationOf = (more: Partial<TenantRotationOptions> = {}): TenantRotation =>
  hurriedRotation({ database, kek, tenantKeys: createTenantKeys({ database, kek }), ...more });

const stateOf = (tenantId: string, version: number): Promise<string | undefined> =>
  database.inTenant(tenantId, async (sql) => {
    const { rows } = await sql.query<{ state: string }>('select state from tenant_keys where version = $1', [version]);
    return rows[0]?.state;
  });

const openedNow = (tenantId: string) =>
  database.inTenant(tenantId, async (sql) =>
    openAll(sql, tenantId, await createTenantKeys({ database, kek }).forTenant(tenantId)),
  );

/** Of everything in clear, whatever order it came in. */
const digestOf = (opened: readonly Opened[]): string =>
  hash('sha256', JSON.stringify(opened.map(({ place, plain }) => `${place} ${plain?.toString('hex')}`).sort()));

/** Columns of bytes of tenants that hold nothing sealed by a tenant's key, and why. */
const NOT_SEALED = new Map([
  ['audit.hash', 'a hash of the chain'],
  ['audit.mac', 'a mac of the chain'],
  ['idempotency.body', 'an answer of ours, kept for a day: ids and signatures'],
  ['idempotency.body_sha256', 'a hash'],
  ['idempotency.output_sha256', 'a hash'],
  ['log_entries.leaf_hash', 'a hash'],
  ['photos.content_hash', 'a hash, looked up by'],
  ['photos.registered_signature', 'a signature'],
  ['protections.binding', 'what the mark in a published picture is looked up by'],
  ['protections.fingerprint', 'what a picture is recognised by'],
  ['protections.manifest_sha256', 'a hash'],
  ['protections.output_sha256', 'a hash'],
  ['protections.unsigned_sha256', 'a hash'],
  ['published_photos.binding', 'public by its meaning'],
  ['tenant_keys.wrapped', 'wrapped by the key-encryption key'],
  ['tenant_trust_anchors.sha256', 'a hash'],
]);

test('every column of bytes in a table of tenants is sealed again, or is known not to be sealed', async () => {
  const { rows } = await database.inSystem((sql) =>
    sql.query<{ name: string }>(`
      select c.table_name || '.' || c.column_name as name
      from information_schema.columns c
      join pg_class t on t.oid = c.table_name::regclass and not t.relispartition
      where c.table_schema = 'public' and c.data_type = 'bytea' and exists (
        select from information_schema.columns o
        where o.table_schema = 'public' and o.table_name = c.table_name and o.column_name = 'tenant_id'
      )
      order by 1`),
  );
  const known = new Set([...SEALED_PLACES.map(nameOf), ...NOT_SEALED.keys()]);
  assert.deepEqual(
    rows.map(({ name }) => name).filter((name) => !known.has(name)),
    [],
  );
  for (const place of SEALED_PLACES)
    assert.ok(
      rows.some(({ name }) => name === nameOf(place)),
      nameOf(place),
    );
});

test('the guide names every place', async () => {
  const guide = await readFile(new URL('../../../../docs/guides/tenant-keys.md', import.meta.url), 'utf8');
  for (const place of SEALED_PLACES) assert.ok(guide.includes(`\`${nameOf(place)}\``), nameOf(place));
});

test('everything sealed opens as before, under the new version alone; the old one is destroyed', async () => {
  const tenantId = await room.newTenant();
  await sealRows(room, tenantId, 30);
  const before = await openedNow(tenantId);
  assert.deepEqual([...new Set(before.map(({ place }) => place))].sort(), SEALED_PLACES.map(nameOf).sort());
  const rotation = rotationOf();
  await rotation.rotate(tenantId);
  const next = rotationOf();
  await next.work(NEVER);
  const after = await openedNow(tenantId);
  assert.ok(after.every(({ version }) => version === 2));
  assert.equal(digestOf(after), digestOf(before));
  const blocks = after.filter(({ place }) => place === 'content_blocks.sealed');
  assert.ok(blocks.some(({ plain }) => zstdDecompressSync(plain as Buffer).includes(CONTENT)));
  assert.equal(await stateOf(tenantId, 1), 'destroyed');
  for (const { rowsTotal, rowsSeen, rowsSealed, isDone } of await next.progress(tenantId)) {
    assert.ok(rowsTotal > 0 && rowsSeen === rowsTotal && rowsSealed === rowsTotal && isDone);
  }
});

test('work that is cut off again and again goes on where it was, and ends', async () => {
  const tenantId = await room.newTenant();
  await sealRows(room, tenantId, 45);
  await rotationOf().rotate(tenantId);
  let rounds = 0;
  for (; (await stateOf(tenantId, 1)) !== 'destroyed' && rounds < 200; rounds++) {
    // a process of its own each time, that dies soon after it has looked at every place: what its last transaction did is
    // undone
    let batches = 0;
    const dying = {
      inSystem: (work: Parameters<Database['inSystem']>[0]) => database.inSystem(work),
      inTenant: <T>(id: string, work: (sql: Sql) => Promise<T>) =>
        database.inTenant(id, async (sql) => {
          const result = await work(sql);
          if (++batches > SEALED_PLACES.length + 3) throw new Error('killed');
          return result;
        }),
    } as Database;
    await rotationOf({ database: dying, onError: () => undefined }).work(NEVER);
  }
  assert.ok(rounds > 3 && rounds < 200, `${rounds} rounds`);
  const after = await openedNow(tenantId);
  assert.ok(after.length > 150 && after.every(({ version, plain }) => version === 2 && plain !== undefined));
});

test('a process that is killed with SIGKILL half-way leaves everything open, and another ends it', async () => {
  const tenantId = await room.newTenant();
  await sealRows(room, tenantId, 60);
  const before = digestOf(await openedNow(tenantId));
  await rotationOf().rotate(tenantId);
  const { app, owner } = room.db.url;
  const child = spawn(process.execPath, [FIXTURE, app, owner, kekBytes.toString('hex')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const sealed = async (): Promise<number> =>
    (await rotationOf().progress(tenantId)).reduce((sum, { rowsSealed }) => sum + rowsSealed, 0);
  for (let look = 0; look < 500 && (await sealed()) < 40; look++) await sleep(5);
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  assert.deepEqual(await exit, [null, 'SIGKILL']);
  const halfway = await openedNow(tenantId);
  const old = halfway.filter(({ version }) => version === 1).length;
  assert.ok(old > 0 && old < halfway.length, `${old} of ${halfway.length} were left`);
  assert.equal(digestOf(halfway), before);
  await rotationOf().work(NEVER);
  const after = await openedNow(tenantId);
  assert.ok(after.every(({ version }) => version === 2));
  assert.equal(digestOf(after), before);
  assert.equal(await stateOf(tenantId, 1), 'destroyed');
});

test('a row that somebody holds is passed by and taken later; until then the old version stays', async () => {
  const tenantId = await room.newTenant();
  const [traceId] = await sealRows(room, tenantId, 3);
  await rotationOf().rotate(tenantId);
  await database.inTenant(tenantId, async (sql) => {
    await sql.query('select from traces where trace_id = $1 for update', [traceId]);
    const began = performance.now();
    await rotationOf().work(NEVER);
    assert.ok(performance.now() - began < 5_000);
    assert.equal(await stateOf(tenantId, 1), 'decrypt_only');
  });
  assert.deepEqual(
    (await openedNow(tenantId)).filter(({ version }) => version === 1).map(({ place }) => place),
    ['traces.sealed'],
  );
  await rotationOf().work(NEVER);
  assert.equal(await stateOf(tenantId, 1), 'destroyed');
  assert.ok((await openedNow(tenantId)).every(({ version, plain }) => version === 2 && plain !== undefined));
});

test('the old version is not destroyed while a process that was stopped might seal with it', async () => {
  const tenantId = await room.newTenant();
  await sealRows(room, tenantId, 2);
  await rotationOf().rotate(tenantId);
  const patient = rotationOf({ quietMs: 60_000 });
  await patient.work(NEVER);
  await patient.work(NEVER);
  assert.equal(await stateOf(tenantId, 1), 'decrypt_only');
  // all is sealed again by then: only the last look is missing
  assert.ok((await openedNow(tenantId)).every(({ version }) => version === 2));
  await database.inTenant(tenantId, (sql) =>
    sql.query(`update tenant_keys set superseded_at = superseded_at - interval '1 minute' where version = 1`),
  );
  await patient.work(NEVER);
  assert.equal(await stateOf(tenantId, 1), 'destroyed');
});

test('a row that cannot be opened keeps the old version and is told', async () => {
  const tenantId = await room.newTenant();
  await sealRows(room, tenantId, 2);
  await database.inTenant(tenantId, (sql) =>
    sql.query(`update traces set sealed = overlay(sealed placing '\\x00'::bytea from 30) where trace_id in (
      select trace_id from traces limit 1)`),
  );
  await rotationOf().rotate(tenantId);
  const errors: unknown[] = [];
  await rotationOf({ onError: (error) => errors.push(error) }).work(NEVER);
  assert.match(String(errors[0]), /cannot be opened/);
  assert.equal(await stateOf(tenantId, 1), 'decrypt_only');
});
