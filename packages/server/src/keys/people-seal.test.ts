// Addresses and names of people: sealed in rows, found by a blind index, and what an earlier version kept in clear.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  actAsAccount,
  findAccountByEmail,
  findLogin,
  insertAccount,
  insertMembership,
  listMembers,
} from '../storage/postgres/accounts.ts';
import { insertTenant } from '../storage/postgres/tenants.ts';
import { keepSeals } from '../storage/seals.ts';
import { testDatabase, type TestDatabase } from '../test/harness.ts';
import type { InstallationKey } from './installation-keys.ts';
import { peopleSealOf } from './people-seal.ts';
import { sealOpenRows } from './sealing.ts';

const FIRST: InstallationKey = { version: 1, secret: randomBytes(32) };
const SECOND: InstallationKey = { version: 2, secret: randomBytes(32) };
const UNIQUE_VIOLATION = '23505';

let db: TestDatabase;
let tenantId: string;

before(async () => {
  db = await testDatabase();
  tenantId = randomUUID();
  await db.database.inTenant(tenantId, (sql) => insertTenant(sql, { tenantId, name: 'Test' }));
  use(FIRST);
});
after(() => db.close());

function use(...keys: [InstallationKey, ...InstallationKey[]]): void {
  const seal = peopleSealOf(keys);
  keepSeals(db.database, { people: async () => seal });
}

async function person(email: string, name = 'Somebody'): Promise<string> {
  const accountId = randomUUID();
  await db.database.inTenant(tenantId, async (sql) => {
    await actAsAccount(sql, accountId);
    await insertAccount(sql, { accountId, email, name, mustChangePassword: false, argon2id: '$argon2id$none' });
    await insertMembership(sql, { tenantId, accountId, role: 'viewer' });
  });
  return accountId;
}

const found = (email: string): Promise<string | undefined> =>
  db.database.inLookup(email, (sql) => findAccountByEmail(sql, email));

test('a person is found by the whole address and by nothing else, and read in clear by who may', async () => {
  const id = await person('anna@example.org', 'Anna');
  assert.equal(await found('anna@example.org'), id);
  for (const other of ['anna@example.or', 'Anna@example.org', '', '%']) assert.equal(await found(other), undefined);
  const login = await db.database.inAccount(id, (sql) => findLogin(sql, id));
  assert.deepEqual([login?.email, login?.name], ['anna@example.org', 'Anna']);
  const members = await db.database.inTenant(tenantId, (sql) => listMembers(sql, tenantId));
  assert.ok(members.some(({ email, name }) => email === 'anna@example.org' && name === 'Anna'));
});

test('an address is there once, under whichever version of the key it was written', async () => {
  const id = await person('berta@example.org');
  await assert.rejects(person('berta@example.org'), { code: UNIQUE_VIOLATION });
  use(SECOND, FIRST);
  assert.equal(await found('berta@example.org'), id);
  await assert.rejects(person('berta@example.org'), { code: UNIQUE_VIOLATION });
  const newer = await person('carla@example.org');
  use(FIRST, SECOND);
  assert.equal(
    await found('carla@example.org'),
    newer,
    'a process that goes on with the older version reads the newer',
  );
  await assert.rejects(person('carla@example.org'), { code: UNIQUE_VIOLATION });
});

test('of the same address at once one is made, while two versions are in use', async () => {
  use(SECOND, FIRST);
  const one = person('dora@example.org');
  use(FIRST, SECOND);
  const results = await Promise.allSettled([one, person('dora@example.org')]);
  assert.deepEqual(results.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
});

test('sealed bytes of another person or column do not open', () => {
  const seal = peopleSealOf([FIRST]);
  const [mine, other] = [randomUUID(), randomUUID()];
  const sealed = seal.seal('email', mine, 'anna@example.org');
  assert.equal(seal.open('email', mine, sealed), 'anna@example.org');
  assert.throws(() => seal.open('email', other, sealed), { code: 'KEY_REFUSED' });
  assert.throws(() => seal.open('name', mine, sealed), { code: 'KEY_REFUSED' });
  assert.throws(() => peopleSealOf([SECOND]).open('email', mine, sealed), { code: 'KEY_UNKNOWN_VERSION' });
  for (const bytes of [Buffer.alloc(0), sealed.subarray(0, 20)])
    assert.throws(() => seal.open('email', mine, bytes), { code: /^KEY_/ });
});

test('no index tells the address: other installations have other ones', () => {
  const [mine] = peopleSealOf([FIRST]).indexes('anna@example.org');
  const [theirs] = peopleSealOf([{ version: 1, secret: randomBytes(32) }]).indexes('anna@example.org');
  assert.notEqual(mine, theirs);
  assert.match(mine, /^[\w-]{43}$/);
});

test('rows of an earlier version are sealed, each once, and people log in as before', async () => {
  use(FIRST);
  const people = Array.from({ length: 1_200 }, (_, i) => ({
    id: randomUUID(),
    email: `p${i}@old.example`,
    name: `P ${i}`,
  }));
  await db.database.inSystem(async (sql) => {
    await sql.query(`select set_config('app.sealing', 'on', true)`);
    await sql.query(
      `insert into accounts (account_id, email, name)
        select * from unnest($1::uuid[], $2::text[], $3::text[])`,
      [people.map(({ id }) => id), people.map(({ email }) => email), people.map(({ name }) => name)],
    );
  });
  const both = await Promise.all([sealOpenRows(db.database), sealOpenRows(db.database)]);
  assert.equal(both[0] + both[1], people.length);
  assert.equal(await sealOpenRows(db.database), 0);
  const last = people.at(-1)!;
  assert.equal(await found(last.email), last.id);
  const left = await db.database.inSystem(async (sql) => {
    await sql.query(`select set_config('app.sealing', 'on', true)`);
    return sql.query<{ n: string }>('select count(*) as n from accounts where email is not null or name is not null');
  });
  assert.equal(left.rows[0]?.n, '0');
});

test('the application neither seals nor sees who it does not name', async () => {
  const seen = await db.database.inLookup('x', async (sql) => {
    await sql.query(`select set_config('app.sealing', 'on', true)`);
    return sql.query('select from accounts');
  });
  assert.equal(seen.rowCount, 0);
});

test('a database whose seals nobody keeps writes no person', async () => {
  await assert.rejects(
    insertAccount({ door: {}, query: async () => assert.fail() }, { ...NOBODY, argon2id: '' }),
    TypeError,
  );
});

const NOBODY = { accountId: randomUUID(), email: 'x@example.org', name: 'X', mustChangePassword: false };
