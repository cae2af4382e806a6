// The rotation of the key above all keys: every wrapped key is wrapped again, and a kill at any step loses none.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { listKekVersions, openKek, PLAIN_DOOR, readKek, settleKek, versionOfKek } from './data-folder.ts';
import { rotateKek } from './kek-rotation.ts';
import { watchKek } from './kek-watch.ts';
import { createInstallationKeys } from './keys/installation-keys.ts';
import { KekRing, type Kek } from './keys/kek.ts';
import { SignerProcess } from './keys/signer/client.ts';
import { wrappingKeyFrom } from './keys/signer/protocol.ts';
import { createTenantKeys } from './keys/tenant-keys.ts';
import { WRAPPED_COLUMNS } from './keys/wrapped-columns.ts';
import type { Sql } from './storage/database.ts';
import { claimInstallation, insertTenant } from './storage/postgres/tenants.ts';
import { listWrapped, listWrappedColumns } from './storage/postgres/wrapped.ts';
import { testDatabase, type TestDatabase } from './test/harness.ts';
import { openLog } from './transparency/log.ts';

const FIXTURE = fileURLToPath(new URL('./kek-rotation.fixture.ts', import.meta.url));

let db: TestDatabase;
let folder: string;
let file: string;
let tenantId: string;

before(async () => {
  db = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-kek-'));
  file = join(folder, 'kek');
  tenantId = randomUUID();
  const { bytes } = await openKek(file, async () => false);
  await settleKek(db.database, file);
  await db.database.inTenant(tenantId, async (sql) => {
    await claimInstallation(sql, tenantId);
    await insertTenant(sql, { tenantId, name: 'Test' });
  });
  const kek = new KekRing({ version: 1, bytes });
  await createTenantKeys({ database: db.database, kek }).forTenant(tenantId);
  const keys = createInstallationKeys({ database: db.database, kek });
  for (const name of ['api-key-pepper', 'session', 'cursor', 'people'] as const) await keys.secret(name);
  await withSigner(bytes, [], async (signer) => {
    await openLog({ database: db.database, signer });
    for (const alg of ['rs256', 'es256'] as const) {
      const { wrappedPrivate } = await signer.generate(alg);
      await db.database.inSystem((sql) =>
        sql.query(
          `insert into signing_keys (kid, alg, public_jwk, wrapped_private, state) values ($1, $2, '{}', $3, 'next')`,
          [alg, alg, wrappedPrivate],
        ),
      );
    }
    const registration = await signer.generate('es256-der');
    await db.database.inSystem((sql) =>
      sql.query(
        `insert into photo_keys (kid, purpose, public_spki, wrapped_private, created_at)
          values ('r', 'registration', $1, $2, now())`,
        [registration.publicKeySpki, registration.wrappedPrivate],
      ),
    );
  });
});
after(async () => {
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

async function withSigner(
  first: Uint8Array,
  others: readonly Uint8Array[],
  work: (signer: SignerProcess) => Promise<void>,
): Promise<void> {
  const signer = await SignerProcess.start({
    wrappingKey: wrappingKeyFrom(first),
    otherWrappingKeys: others.map((bytes) => wrappingKeyFrom(bytes)),
    directory: join(folder, 'run'),
  });
  await work(signer).finally(() => signer.close());
}

/** Every wrapped key in clear or as its public half, by its place: what must stay the same whatever happens. */
async function everythingOpened(): Promise<{ version: number; opened: number }> {
  const { inUse, others } = await settleKek(db.database, file);
  const ring: Kek = new KekRing(inUse, others);
  let opened = 0;
  await withSigner(
    inUse.bytes,
    others.map(({ bytes }) => bytes),
    async (signer) => {
      for (const place of WRAPPED_COLUMNS) {
        const rows = await db.database.inSystem((sql: Sql) => listWrapped(sql, place, undefined, 1_000));
        for (const { key, wrapped } of rows) {
          if (place.use === undefined) await signer.load(`k${opened}`, wrapped);
          else assert.equal(ring.unwrap(place.use(key), wrapped).length % 32, 0);
          opened++;
        }
      }
    },
  );
  return { version: inUse.version, opened };
}

const rotation = (): Parameters<typeof rotateKek>[0] => ({
  database: db.database,
  file,
  door: PLAIN_DOOR,
  newDoor: PLAIN_DOOR,
  runDir: join(folder, 'run'),
  settleMs: 0,
});

test('every column that holds a wrapped key is in the one list, and the list names no other', async () => {
  const columns = await db.database.inSystem(listWrappedColumns);
  assert.deepEqual(WRAPPED_COLUMNS.map(({ table, column }) => `${table}.${column}`).toSorted(), columns);
});

test('all keys are under the new version afterwards, none under the old, and each opens', async () => {
  const before = await everythingOpened();
  assert.ok(before.opened >= 9, String(before.opened));
  const old = (await readKek(file))!;
  const made = await rotateKek(rotation());
  assert.deepEqual(made, { version: 2, before: 1, rewrapped: before.opened });
  assert.deepEqual(await everythingOpened(), { version: 2, opened: before.opened });
  assert.notDeepEqual(await readKek(file), old);
  assert.deepEqual(await readKek(versionOfKek(file, 1)), old);
  for (const name of [file, versionOfKek(file, 1)]) assert.equal((await stat(name)).mode & 0o777, 0o400);
  // the old key is of no use for what is there now
  const oldRing = new KekRing({ version: 1, bytes: old });
  for (const place of WRAPPED_COLUMNS) {
    const rows = await db.database.inSystem((sql) => listWrapped(sql, place, undefined, 1_000));
    if (place.use !== undefined) {
      for (const { key, wrapped } of rows)
        assert.throws(() => oldRing.unwrap(place.use!(key), wrapped), { code: 'KEY_UNKNOWN_VERSION' });
    } else {
      await withSigner(old, [], async (signer) => {
        for (const { wrapped } of rows) await assert.rejects(signer.load('x', wrapped), { code: 'KEY_REFUSED' });
      });
    }
  }
  const lines = await db.database.inTenant(tenantId, (sql) =>
    sql.query<{ object: string; detail: object }>(`select object, detail from audit where action = 'kek.rotate'`),
  );
  assert.deepEqual(lines.rows, [{ object: 'kek:2', detail: { before: 1, rewrapped: before.opened } }]);
});

for (const step of ['made', 'settled', 'rewrapped', 'committed'] as const) {
  test(`killed after "${step}" everything opens, and a repetition ends it`, async () => {
    const before = await everythingOpened();
    const { status, signal, stderr } = spawnSync(
      process.execPath,
      [FIXTURE, file, join(folder, 'run'), step, JSON.stringify({ app: db.app, owner: db.owner })],
      { encoding: 'utf8', timeout: 60_000 },
    );
    assert.equal(signal, 'SIGKILL', `${status} ${stderr}`);
    const staged = `kek.v${before.version + 1}`;
    assert.ok((await readdir(folder)).includes(staged));
    const after = await everythingOpened();
    const isCommitted = step === 'committed';
    assert.deepEqual(after, { ...before, version: before.version + (isCommitted ? 1 : 0) });
    assert.equal((await readdir(folder)).includes(staged), !isCommitted, 'what was committed is ended by the start');
    await rotateKek(rotation());
    assert.deepEqual(await everythingOpened(), { ...before, version: after.version + 1 });
  });
}

test('a program that runs meanwhile writes and reads on, and nothing it wrote stays under the old key', async () => {
  const { database } = db;
  const versions = await settleKek(database, file);
  const ring = new KekRing(versions.inUse, versions.others);
  const signer = await SignerProcess.start({
    wrappingKey: wrappingKeyFrom(versions.inUse.bytes),
    otherWrappingKeys: versions.others.map(({ bytes }) => wrappingKeyFrom(bytes)),
    directory: join(folder, 'run'),
  });
  const errors: unknown[] = [];
  const changes: number[] = [];
  const watch = await watchKek({
    database,
    file,
    door: PLAIN_DOOR,
    versions,
    ring,
    signer,
    everyMs: 20,
    onChange: (version) => changes.push(version),
    onError: (error) => errors.push(error),
  });
  const over = new AbortController();
  const tenants: string[] = [];
  const writing = (async () => {
    while (!over.signal.aborted) {
      const id = randomUUID();
      await database.inTenant(id, (sql) => insertTenant(sql, { tenantId: id, name: 'New' }));
      // every one a new process: none remembers what it read
      await createTenantKeys({ database, kek: ring }).forTenant(id);
      for (const known of tenants.slice(-3)) await createTenantKeys({ database, kek: ring }).forTenant(known);
      const { wrappedPrivate } = await signer.generate('es256');
      await database.inSystem((sql) =>
        sql.query(
          `insert into signing_keys (kid, alg, public_jwk, wrapped_private, state) values ($1, 'es256', '{}', $2, 'next')`,
          [id, wrappedPrivate],
        ),
      );
      await signer.load(id, wrappedPrivate);
      tenants.push(id);
    }
  })();
  const { version } = await rotateKek({ ...rotation(), settleMs: 500 });
  const endMs = performance.now() + 10_000;
  while (changes.length === 0 && performance.now() < endMs) await sleep(20);
  await sleep(100);
  over.abort();
  await writing;
  await watch.stop();
  await signer.close();
  assert.deepEqual([changes, errors], [[version], []]);
  assert.ok(tenants.length > 10, String(tenants.length));
  const alone = await settleKek(database, file);
  const onlyNew = new KekRing(alone.inUse);
  for (const id of tenants) await createTenantKeys({ database, kek: onlyNew }).forTenant(id);
  await withSigner(alone.inUse.bytes, [], async (fresh) => {
    const rows = await database.inSystem((sql) =>
      sql.query<{ kid: string; wrapped: Buffer }>('select kid, wrapped_private as wrapped from signing_keys'),
    );
    for (const { kid, wrapped } of rows.rows) await fresh.load(kid, wrapped);
  });
});

test('of three rotations at once one is done, or one after the other, and nothing is lost', async () => {
  const before = await everythingOpened();
  let done = 0;
  for (let round = 0; round < 3; round++) {
    const results = await Promise.allSettled([rotateKek(rotation()), rotateKek(rotation()), rotateKek(rotation())]);
    for (const result of results) {
      if (result.status === 'fulfilled') done++;
      else assert.match(String(result.reason), /rotated by somebody else/);
    }
    assert.ok(done > round);
    const old = await Promise.all((await listKekVersions(file)).map((version) => readKek(versionOfKek(file, version))));
    assert.ok(old.length >= before.version + done - 1, 'every earlier version lies there');
    assert.deepEqual(await everythingOpened(), { ...before, version: before.version + done });
  }
});

test('a next key that cannot be read stops a rotation before anything is changed', async () => {
  const before = await everythingOpened();
  const staged = versionOfKek(file, before.version + 1);
  await writeFile(staged, 'no key');
  await assert.rejects(rotateKek(rotation()), { code: 'CONFLICT' });
  await rm(staged);
  assert.deepEqual(await everythingOpened(), before);
});

test('another key in the place of the right one is refused, and the right one is not touched', async () => {
  const right = await readFile(file);
  await rm(file);
  await writeFile(file, randomBytes(32).toString('hex'));
  await assert.rejects(settleKek(db.database, file), /is not the one/);
  await assert.rejects(rotateKek(rotation()), /is not the one/);
  await rm(file);
  await writeFile(file, right, { mode: 0o400 });
  await everythingOpened();
});
