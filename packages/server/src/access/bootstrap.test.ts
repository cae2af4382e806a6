// The first start: everything or nothing, whenever it is killed, and once however many start.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createEgress } from '../egress/egress.ts';
import { createInstallationKeys } from '../keys/installation-keys.ts';
import { kekFromBytes } from '../keys/kek.ts';
import { testDatabase, type TestDatabase } from '../test/harness.ts';
import { signerInProcess } from '../test/house.ts';
import { createAccess, type Access } from './access.ts';
import { firstRunPath, type FirstRun } from './bootstrap.ts';
import { SCOPES } from './principal.ts';

const opened: TestDatabase[] = [];
const folders: string[] = [];
after(async () => {
  for (const db of opened) await db.close();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});
const kek = kekFromBytes(randomBytes(32));

async function freshDatabase(): Promise<TestDatabase> {
  const db = await testDatabase();
  opened.push(db);
  return db;
}

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lumatrace-first-'));
  folders.push(folder);
  return folder;
}

function accessOver({ database }: TestDatabase, dataDir: string): Promise<Access> {
  return createAccess({
    egress: createEgress({ allow: [] }),
    database,
    installationKeys: createInstallationKeys({ database, kek }),
    signer: signerInProcess(),
    publicUrl: 'http://localhost:3000',
    otlpUrl: 'http://localhost:4318',
    dataDir,
  });
}

const read = async (folder: string): Promise<FirstRun> =>
  JSON.parse(await readFile(firstRunPath(folder), 'utf8')) as FirstRun;

async function countOf({ database }: TestDatabase, table: string): Promise<number> {
  return database.inSystem(async (sql) => {
    await sql.query(`select set_config('app.backup', 'on', true)`);
    const { rows } = await sql.query<{ count: number }>(`select count(*)::int as count from ${table}`);
    return rows[0]?.count ?? 0;
  });
}

test('the first start writes the file of the contract, for its owner only, and everything in it works', async () => {
  const [db, folder] = [await freshDatabase(), await freshFolder()];
  const access = await accessOver(db, folder);
  const made = await access.firstRun.bootstrap();
  assert.equal(made.isFirst, true);
  const firstRun = await read(folder);
  assert.deepEqual(Object.keys(firstRun), ['url', 'otlpUrl', 'admin', 'tenant', 'apiKey', 'serviceAccount']);
  assert.equal(firstRun.url, 'http://localhost:3000');
  assert.equal(firstRun.tenant.id, made.tenantId);
  assert.equal((await stat(firstRunPath(folder))).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(folder), ['first-run.json']);
  const key = await access.apiKeys.authenticate(firstRun.apiKey);
  assert.equal(key.tenantId, made.tenantId);
  assert.deepEqual(key.scopes, new Set(SCOPES));
  const { token } = await access.machines.login(firstRun.serviceAccount, 'test', 'test');
  assert.deepEqual((await access.tokens.authenticate(token)).scopes, new Set(SCOPES));
  const person = await access.people.login(firstRun.admin, 'test', 'test');
  assert.equal(person.mustChangePassword, true);
  assert.equal(person.user.role, 'owner');
});

test('a second start makes nothing and does not bring a deleted file back', async () => {
  const [db, folder] = [await freshDatabase(), await freshFolder()];
  const first = await (await accessOver(db, folder)).firstRun.bootstrap();
  await rm(firstRunPath(folder));
  const again = await (await accessOver(db, folder)).firstRun.bootstrap();
  assert.deepEqual(again, { tenantId: first.tenantId, isFirst: false });
  assert.deepEqual(await readdir(folder), []);
  assert.equal(await countOf(db, 'tenants'), 1);
});

test('killed before the commit: the next start throws the pending file away and begins anew', async () => {
  const [db, folder] = [await freshDatabase(), await freshFolder()];
  const pending = `${firstRunPath(folder)}.pending`;
  const lost = { tenant: { id: '00000000-0000-4000-8000-000000000000' }, apiKey: 'never made' };
  for (const left of [JSON.stringify(lost), '{"half":', '']) {
    await writeFile(pending, left);
    const access = await accessOver(db, folder);
    await access.firstRun.bootstrap();
    assert.equal((await access.apiKeys.authenticate((await read(folder)).apiKey)).kind, 'apiKey');
    assert.deepEqual(await readdir(folder), ['first-run.json']);
  }
});

test('killed between the commit and the rename: the next start gives the file its name', async () => {
  const [db, folder] = [await freshDatabase(), await freshFolder()];
  await (await accessOver(db, folder)).firstRun.bootstrap();
  await rename(firstRunPath(folder), `${firstRunPath(folder)}.pending`);
  const access = await accessOver(db, folder);
  assert.equal((await access.firstRun.bootstrap()).isFirst, false);
  assert.equal((await access.apiKeys.authenticate((await read(folder)).apiKey)).kind, 'apiKey');
});

test('when the transaction fails, nothing is made and the next start works', async () => {
  const [db, folder] = [await freshDatabase(), await freshFolder()];
  const access = await accessOver(db, folder);
  const { inTenant } = db.database;
  Object.assign(db.database, { inTenant: () => Promise.reject(new Error('gone')) });
  await assert.rejects(access.firstRun.bootstrap(), /gone/);
  Object.assign(db.database, { inTenant });
  for (const table of ['tenants', 'accounts', 'api_keys', 'installation']) assert.equal(await countOf(db, table), 0);
  assert.equal((await access.firstRun.bootstrap()).isFirst, true);
});

test('two processes that start at once on one database make one installation and one file', async () => {
  const db = await freshDatabase();
  const homes = [await freshFolder(), await freshFolder(), await freshFolder()];
  const made = await Promise.all(homes.map(async (folder) => (await accessOver(db, folder)).firstRun.bootstrap()));
  assert.equal(made.filter(({ isFirst }) => isFirst).length, 1);
  assert.equal(new Set(made.map(({ tenantId }) => tenantId)).size, 1);
  const files = (await Promise.all(homes.map((folder) => readdir(folder)))).flat();
  assert.deepEqual(files, ['first-run.json']);
  for (const table of ['tenants', 'accounts', 'api_keys', 'service_accounts'])
    assert.equal(await countOf(db, table), 1);
});
