// New versions of the installation's secrets: asked for, by age, and told in the audit log.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { keepSecrets, rotateSecret } from './key-upkeep.ts';
import { createInstallationKeys, SETTLED_MS, type InstallationKeys } from './keys/installation-keys.ts';
import { kekFromBytes } from './keys/kek.ts';
import { createPeopleSeal } from './keys/people-seal.ts';
import { actAsAccount, findAccountByEmail, insertAccount } from './storage/postgres/accounts.ts';
import { claimInstallation, insertTenant } from './storage/postgres/tenants.ts';
import { keepSeals } from './storage/seals.ts';
import { testDatabase, type TestDatabase } from './test/harness.ts';

const DAY_MS = 86_400_000;
const kek = kekFromBytes(randomBytes(32));
const tenantId = randomUUID();
let db: TestDatabase;
let keys: InstallationKeys;

before(async () => {
  db = await testDatabase();
  keys = createInstallationKeys({ database: db.database, kek });
  keepSeals(db.database, { people: createPeopleSeal(keys) });
});
after(() => db.close());

const lines = async (): Promise<string[]> => {
  const { rows } = await db.database.inTenant(tenantId, (sql) =>
    sql.query<{ object: string }>(`select object from audit where action = 'key.rotate' order by seq`),
  );
  return rows.map(({ object }) => object);
};

/** As if the newest version had been made so long ago; then read by a new process. */
async function age(ms: number): Promise<void> {
  await db.database.inSystem((sql) =>
    sql.query(`update installation_keys set created_at = created_at - $1 * interval '1 ms' where name = 'people'`, [
      ms,
    ]),
  );
  keys = createInstallationKeys({ database: db.database, kek });
  keepSeals(db.database, { people: createPeopleSeal(keys) });
}

const versionsOfRows = async (): Promise<number[]> => {
  const { rows } = await db.database.inSystem(async (sql) => {
    await sql.query(`select set_config('app.sealing', 'on', true)`);
    return sql.query<{ sealed: Buffer }>('select email_sealed as sealed from accounts');
  });
  return rows.map(({ sealed }) => sealed.readUInt32BE(2));
};

test('without an installation nothing is rotated', async () => {
  await assert.rejects(rotateSecret(keys, 'people'), { code: 'CONFLICT' });
  assert.equal((await keys.versions('people')).length, 1);
});

test('each version that is asked for has one line, also when several are at once', async () => {
  await db.database.inTenant(tenantId, async (sql) => {
    await claimInstallation(sql, tenantId);
    await insertTenant(sql, { tenantId, name: 'Test' });
  });
  const made = await Promise.all([1, 2, 3].map(() => rotateSecret(keys, 'watermark-sync')));
  const told = [...new Set(made)].toSorted().map((version) => `watermark-sync:${version}`);
  assert.deepEqual(await lines(), told);
});

test('the key of people is rotated by its age, and what it sealed is sealed again when the new one is in use', async () => {
  const accountId = randomUUID();
  await db.database.inAccount(accountId, async (sql) => {
    await actAsAccount(sql, accountId);
    await insertAccount(sql, {
      accountId,
      email: 'anna@example.org',
      name: 'Anna',
      mustChangePassword: false,
      argon2id: '$argon2id$none',
    });
  });
  await age(59 * DAY_MS);
  assert.deepEqual(await keepSecrets(db.database, keys), []);
  await age(DAY_MS);
  assert.deepEqual(await keepSecrets(db.database, keys), ['people']);
  assert.equal((await lines()).at(-1), 'people:2');
  assert.deepEqual(await versionsOfRows(), [1], 'not before every process reads with the new version');
  await age(SETTLED_MS);
  assert.deepEqual(await keepSecrets(db.database, keys), []);
  assert.deepEqual(await versionsOfRows(), [2]);
  const found = await db.database.inLookup('', (sql) => findAccountByEmail(sql, 'anna@example.org'));
  assert.equal(found, accountId);
});
