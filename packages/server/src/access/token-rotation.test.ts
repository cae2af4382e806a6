// The life of token keys: published a day ahead, in use, verifying for an hour more, then destroyed. Nobody is refused.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { claimInstallation, insertTenant } from '../storage/postgres/tenants.ts';
import { signerInProcess } from '../test/house.ts';
import { testDatabase } from '../test/harness.ts';
import { createSigningKeys, type SigningKeys } from './signing-keys.ts';
import {
  keepTokenKeys,
  PUBLISHED_BEFORE_MS,
  RETIRING_MS,
  rotateTokenKey,
  TOKEN_KEY_LIFE_MS,
} from './token-rotation.ts';

const db = await testDatabase();
after(() => db.close());
const { database } = db;
const signer = signerInProcess();
const options = { database, signer };
const tenantId = randomUUID();
let nowMs = 0;
const set: SigningKeys = createSigningKeys({ database, signer, nowMs: () => nowMs });

before(async () => {
  await database.inTenant(tenantId, async (sql) => {
    await claimInstallation(sql, tenantId);
    await insertTenant(sql, { tenantId, name: 'Test' });
  });
  await set.current();
});

/** As if so much time had gone by since everything that happened. */
async function pass(ms: number): Promise<void> {
  nowMs += ms;
  await database.inSystem((sql) =>
    sql.query(
      `update signing_keys set created_at = created_at - $1 * interval '1 ms',
        activated_at = activated_at - $1 * interval '1 ms', retired_at = retired_at - $1 * interval '1 ms'`,
      [ms],
    ),
  );
}

const published = async (): Promise<string[]> => (await set.current()).jwks.keys.map(({ kid }) => String(kid));
const changes = async (): Promise<string[]> => (await keepTokenKeys(options)).map(({ change }) => change);

test('by its age: published, then in use, then gone; what was signed meanwhile verifies', async () => {
  const { active: first } = await set.current();
  // the set writes its first key by its own clock, which begins at zero here
  await database.inSystem((sql) => sql.query('update signing_keys set activated_at = created_at'));
  await pass(TOKEN_KEY_LIFE_MS - PUBLISHED_BEFORE_MS - 1_000);
  assert.deepEqual(await changes(), []);
  await pass(2_000);
  assert.deepEqual(await changes(), ['publish']);
  assert.deepEqual(await changes(), [], 'the schedule goes on as if nothing were due');
  await pass(61_000);
  assert.equal((await published()).length, 2);
  assert.equal((await set.current()).active.kid, first.kid, 'it is known before it signs');
  await pass(PUBLISHED_BEFORE_MS);
  assert.deepEqual(await changes(), ['activate']);
  await pass(61_000);
  const { active: second, verifying } = await set.current();
  assert.notEqual(second.kid, first.kid);
  assert.ok(verifying.has(first.kid) && verifying.has(second.kid));
  await set.sign(second.kid, Buffer.from('text'));
  await pass(RETIRING_MS);
  assert.deepEqual(await changes(), ['retire']);
  await pass(61_000);
  assert.deepEqual(await published(), [second.kid]);
  const { rows } = await database.inSystem((sql) =>
    sql.query<{ length: number }>('select octet_length(wrapped_private) as length from signing_keys where kid = $1', [
      first.kid,
    ]),
  );
  assert.deepEqual(rows, [{ length: 0 }], 'its private half is destroyed');
  const lines = await database.inTenant(tenantId, (sql) =>
    sql.query<{ action: string; object: string }>(`select action, object from audit order by seq`),
  );
  assert.deepEqual(
    lines.rows.map(({ action, object }) => `${action} ${object}`),
    [
      `token-key.publish token-key:${second.kid}`,
      `token-key.activate token-key:${second.kid}`,
      `token-key.retire token-key:${first.kid}`,
    ],
  );
});

test('by hand: published at once, one at a time, and of many at once one', async () => {
  const before = await published();
  const results = await Promise.allSettled(Array.from({ length: 4 }, () => rotateTokenKey(options)));
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const result of results)
    if (result.status === 'rejected') assert.equal((result.reason as { code?: string }).code, 'CONFLICT');
  await pass(61_000);
  assert.equal((await published()).length, before.length + 1);
  await pass(PUBLISHED_BEFORE_MS);
  const at = await Promise.all(Array.from({ length: 4 }, () => changes()));
  assert.deepEqual(at.flat(), ['activate']);
});

test('a schedule that was late for weeks changes one thing after the other, and there is always one that signs', async () => {
  await pass(3 * TOKEN_KEY_LIFE_MS);
  assert.deepEqual((await changes()).toSorted(), ['publish', 'retire']);
  assert.ok((await set.current()).active.kid);
  await pass(PUBLISHED_BEFORE_MS);
  assert.deepEqual(await changes(), ['activate']);
});
