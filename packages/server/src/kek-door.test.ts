// The key above all keys in a transit engine: sealed there, moved there and back, asked again while everything runs.
// Against a stand-in that speaks the documented protocol, and against a real OpenBao when LUMATRACE_BAO names its binary.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readInvocation, type Config } from './config.ts';
import { isPlainKek, openKek, PLAIN_DOOR, settleKek, versionOfKek, type KekDoor } from './data-folder.ts';
import { kekDoors } from './kek-door.ts';
import { rotateKek } from './kek-rotation.ts';
import { watchKek } from './kek-watch.ts';
import { BAO, openBao, standIn, type TransitEngine } from './keys/fixtures/transit-engine.ts';
import { createKekTransit, KekTransitError } from './keys/kek-transit.ts';
import { KekRing } from './keys/kek.ts';
import { createTenantKeys } from './keys/tenant-keys.ts';
import { insertTenant } from './storage/postgres/tenants.ts';
import { testDatabase, type TestDatabase } from './test/harness.ts';

const ENGINES = [standIn, ...(BAO === undefined ? [] : [() => openBao(BAO as string)])];

let root: string;
before(async () => void (root = await mkdtemp(join(tmpdir(), 'lumatrace-door-'))));
after(() => rm(root, { recursive: true, force: true }));

function configOf(engine: TransitEngine, kek: 'file' | 'transit'): Config {
  const { url, tokenFile, key } = engine.options;
  return readInvocation(['up'], {
    LUMATRACE_KEK: kek,
    LUMATRACE_KEK_TRANSIT_URL: url,
    LUMATRACE_KEK_TRANSIT_KEY: key,
    LUMATRACE_KEK_TRANSIT_TOKEN_FILE: tokenFile,
    LUMATRACE_EGRESS_ALLOW: new URL(url).host,
  }).config;
}

const isRefused = (error: unknown): boolean => error instanceof KekTransitError && error.isRefusal;
const isAway = (error: unknown): boolean => error instanceof KekTransitError && !error.isRefusal;

for (const start of ENGINES) {
  const name = start === standIn ? 'a stand-in' : 'OpenBao';

  test(`${name} seals a key and opens what was sealed as a key of ours alone`, async () => {
    const engine = await start();
    try {
      const transit = createKekTransit(engine.options);
      const kek = randomBytes(32);
      const line = await transit.lock(kek);
      assert.match(line, /^vault:v1:/);
      assert.ok(!line.includes(kek.toString('base64')) && !line.includes(kek.toString('hex')));
      assert.deepEqual(await transit.unlock(line), kek);
      await assert.rejects(transit.unlock(await engine.foreign(kek)), isRefused, 'sealed for something else');
      await assert.rejects(transit.unlock(`${line.slice(0, -6)}AAAAA=`), isRefused);
      await assert.rejects(transit.unlock('no ciphertext'), isRefused);
      const wrong = join(root, `token-${randomUUID()}`);
      await writeFile(wrong, 's.another-token', { mode: 0o400 });
      await assert.rejects(createKekTransit({ ...engine.options, tokenFile: wrong }).unlock(line), (error: Error) => {
        assert.ok(!error.message.includes('s.another-token'));
        return isRefused(error);
      });
      await engine.deleteKey();
      await assert.rejects(transit.unlock(line), isRefused);
      await engine.stop();
      await assert.rejects(transit.unlock(line), isAway);
    } finally {
      await engine.close();
    }
  });

  test(`${name} takes over a key that lay in clear, gives it back, and every key opens each time`, async () => {
    const engine = await start();
    const db = await testDatabase();
    try {
      const { file, ring, tenantId } = await installed(db, PLAIN_DOOR);
      const [toEngine, toFile] = [kekDoors(configOf(engine, 'transit')), kekDoors(configOf(engine, 'file'))];
      await assert.rejects(
        settleKek(db.database, file, toEngine.door),
        /is not sealed by the transit engine.*keys rotate kek/,
      );
      const rotation = { database: db.database, file, runDir: join(root, 'run'), settleMs: 0 };
      await rotateKek({ ...rotation, door: toEngine.either, newDoor: toEngine.door });
      assert.match(await readFile(file, 'utf8'), /^transit:vault:v1:\S+\n$/);
      await assert.rejects(settleKek(db.database, file), /sealed by a transit engine: set LUMATRACE_KEK=transit/);
      const sealed = await settleKek(db.database, file, toEngine.door);
      assert.deepEqual([sealed.inUse.version, sealed.others], [2, []], 'what lies there in clear is not read any more');
      await opens(db, sealed.inUse, tenantId);
      assert.ok(await isPlainKek(versionOfKek(file, 1)));
      await assert.rejects(opens(db, { version: 1, bytes: ring }, tenantId), { code: 'KEY_UNKNOWN_VERSION' });
      await rotateKek({ ...rotation, door: toFile.either, newDoor: toFile.door });
      assert.ok(await isPlainKek(file));
      const back = await settleKek(db.database, file);
      assert.equal(back.inUse.version, 3);
      await opens(db, back.inUse, tenantId);
    } finally {
      await db.close();
      await engine.close();
    }
  });

  test(`${name} that opens the key no more stops everything within its time, and nothing before`, async () => {
    const engine = await start();
    const db = await testDatabase();
    const { door } = kekDoors(configOf(engine, 'transit'));
    const { file, tenantId } = await installed(db, door);
    const versions = await settleKek(db.database, file, door);
    const ring = new KekRing(versions.inUse);
    const errors: unknown[] = [];
    const signer = { rewrap: async () => Buffer.alloc(0), replaceWrappingKeys: async () => {} };
    const common = { database: db.database, file, door, versions, ring, signer, onChange: () => {} };
    const onError = (error: unknown): void => void errors.push(error);
    const lease = { askEveryMs: 30, silentForMs: 60_000 };
    const watch = await watchKek({ ...common, onError, lease });
    const impatient = new KekRing(versions.inUse);
    const other = await watchKek({ ...common, ring: impatient, onError, lease: { askEveryMs: 30, silentForMs: 500 } });
    try {
      await sleep(200);
      assert.deepEqual([errors, ring.isHeld], [[], true]);
      await engine.stop();
      await until(() => errors.length > 2);
      assert.equal(ring.isHeld, true, 'away for a moment is not refused');
      await until(() => !impatient.isHeld);
      await assert.rejects(createTenantKeys({ database: db.database, kek: impatient }).forTenant(tenantId), {
        code: 'UNAVAILABLE',
      });
      await createTenantKeys({ database: db.database, kek: ring }).forTenant(tenantId);
    } finally {
      await watch.stop();
      await other.stop();
      await db.close();
      await engine.close();
    }
  });
}

test('a key that is refused is taken away at once, and given back when it is opened again', async () => {
  const engine = await standIn();
  const db = await testDatabase();
  const { door } = kekDoors(configOf(engine, 'transit'));
  const { file } = await installed(db, door);
  const versions = await settleKek(db.database, file, door);
  const ring = new KekRing(versions.inUse);
  let isForbidden = false;
  const guarded: KekDoor = {
    ...door,
    unlock: (line, at) => (isForbidden ? Promise.reject(new KekTransitError('refused', true)) : door.unlock(line, at)),
  };
  const signer = { rewrap: async () => Buffer.alloc(0), replaceWrappingKeys: async () => {} };
  const watch = await watchKek({
    database: db.database,
    file,
    door: guarded,
    versions,
    ring,
    signer,
    onChange: () => {},
    onError: () => {},
    lease: { askEveryMs: 20, silentForMs: 60_000 },
  });
  try {
    isForbidden = true;
    await until(() => !ring.isHeld);
    assert.throws(() => ring.wrap('x', Buffer.alloc(32)), { code: 'UNAVAILABLE' });
    isForbidden = false;
    await until(() => ring.isHeld);
    ring.wrap('x', Buffer.alloc(32));
  } finally {
    await watch.stop();
    await db.close();
    await engine.close();
  }
});

const doorsOf = (environment: Record<string, string>) => (): unknown =>
  kekDoors(readInvocation(['up'], environment).config);

test('half a configuration is refused, with what is missing', () => {
  assert.throws(doorsOf({ LUMATRACE_KEK: 'transit' }), /needs LUMATRACE_KEK_TRANSIT_URL/);
  assert.throws(doorsOf({ LUMATRACE_KEK_TRANSIT_URL: 'https://bao.example/v1/transit' }), /Expected all of/);
  assert.throws(doorsOf({ LUMATRACE_KEK: 'cloud' }), /Expected file, transit/);
});

async function until(isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + 15_000;
  while (!isSo()) {
    assert.ok(performance.now() < endMs, 'it did not come');
    await sleep(20);
  }
}

/** A key, a database bound to it, and a tenant with data keys under it. */
async function installed(db: TestDatabase, door: KekDoor): Promise<{ file: string; ring: Buffer; tenantId: string }> {
  const file = join(await mkdtemp(join(root, 'data-')), 'kek');
  const { bytes } = await openKek(file, async () => false, door);
  await settleKek(db.database, file, door);
  const tenantId = randomUUID();
  await db.database.inTenant(tenantId, (sql) => insertTenant(sql, { tenantId, name: 'Test' }));
  await opens(db, { version: 1, bytes }, tenantId);
  return { file, ring: bytes, tenantId };
}

async function opens(db: TestDatabase, kek: { version: number; bytes: Uint8Array }, tenantId: string): Promise<void> {
  await createTenantKeys({ database: db.database, kek: new KekRing(kek) }).forTenant(tenantId);
}
