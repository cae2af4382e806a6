// The set of token keys: made once, kept by the signer process alone, published by their public halves.
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { after, test } from 'node:test';
import { calculateJwkThumbprint } from 'jose';
import { testDatabase } from '../test/harness.ts';
import { signerInProcess } from '../test/house.ts';
import { createSigningKeys, type SigningKeys } from './signing-keys.ts';

const db = await testDatabase();
after(() => db.close());
const { database } = db;
const clock = { nowMs: 0 };
const setOf = (signer = signerInProcess()): SigningKeys =>
  createSigningKeys({ database, signer, nowMs: () => clock.nowMs });

test('five processes that start at once use one key, named by its thumbprint (RFC 7638)', async () => {
  const sets = await Promise.all(Array.from({ length: 5 }, () => setOf().current()));
  assert.equal(new Set(sets.map(({ active }) => active.kid)).size, 1);
  const [jwk] = sets[0]?.jwks.keys ?? [];
  assert.ok(jwk);
  assert.equal(jwk.kid, await calculateJwkThumbprint(jwk, 'sha256'));
  assert.deepEqual(Object.keys(jwk).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use']);
});

test('a signature verifies with the published key', async () => {
  const keys = setOf();
  const { active, jwks } = await keys.current();
  const signature = await keys.sign(active.kid, Buffer.from('text'));
  const publicKey = createPublicKey({ key: { ...jwks.keys[0] }, format: 'jwk' });
  assert.ok(verify('sha256', Buffer.from('text'), publicKey, signature));
});

test('a rotation by another process is seen within a minute: the old key still verifies, a compromised one does not', async () => {
  const keys = setOf();
  const before = await keys.current();
  await database.inSystem((sql) => sql.query(`update signing_keys set state = 'retiring'`));
  assert.equal((await keys.current()).active.kid, before.active.kid);
  clock.nowMs += 60_000;
  const rotated = await keys.current();
  assert.notEqual(rotated.active.kid, before.active.kid);
  assert.deepEqual(new Set(rotated.verifying.keys()), new Set([before.active.kid, rotated.active.kid]));
  await database.inSystem((sql) =>
    sql.query(`update signing_keys set state = 'compromised' where kid = $1`, [before.active.kid]),
  );
  clock.nowMs += 60_000;
  assert.deepEqual([...(await keys.current()).verifying.keys()], [rotated.active.kid]);
  assert.deepEqual(
    (await keys.current()).jwks.keys.map(({ kid }) => kid),
    [rotated.active.kid],
  );
});
