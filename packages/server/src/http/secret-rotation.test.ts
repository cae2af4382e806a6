// Keys, sessions and what is remembered of people at identity providers go on when the secrets that hash them are rotated.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { SESSION_LIFE_MS } from '../access/sessions.ts';
import { SETTLED_MS, type RotatedKeyName } from '../keys/installation-keys.ts';
import { openHouse } from '../test/house.ts';

const house = await openHouse();
after(() => house.close());
const { ask, db, firstRun, installationKeys } = house;
const headers = { authorization: `Bearer ${firstRun.apiKey}` };

/** A new version that is in use; the ones before it are older by as much. */
async function rotated(name: RotatedKeyName, agedMs = SETTLED_MS): Promise<void> {
  const version = await installationKeys.rotate(name);
  await db.database.inSystem((sql) =>
    sql.query(`update installation_keys set created_at = created_at - $2 * interval '1 ms' where name = $1`, [
      name,
      agedMs,
    ]),
  );
  house.keysClock.aheadMs += 60_000;
  // read again beside what is asked
  while ((await installationKeys.secret(name)).version !== version) await new Promise((done) => setTimeout(done, 5));
}

async function pepperVersionOf(keyId: string): Promise<number> {
  const { rows } = await db.database.inTenant(firstRun.tenant.id, (sql) =>
    sql.query<{ version: number }>('select pepper_version as version from api_keys where key_id = $1', [keyId]),
  );
  return rows[0]?.version ?? 0;
}
const make = async (): Promise<{ keyId: string; apiKey: string }> => {
  const body = { name: 'a key', scopes: ['traces:read'] };
  return (await (await ask('POST', '/api/keys', { headers, body })).json()) as { keyId: string; apiKey: string };
};
const statusOf = async (apiKey: string): Promise<number> =>
  (await ask('GET', '/api/settings', { headers: { authorization: `Bearer ${apiKey}` } })).status;

test('API keys work under a new pepper, move over when they are used, and stop at once when they are revoked', async () => {
  const [used, unused] = [await make(), await make()];
  await rotated('api-key-pepper');
  const fresh = await make();
  assert.equal(await pepperVersionOf(fresh.keyId), 2);
  const statuses = await Promise.all([1, 2, 3, 4].map(() => statusOf(used.apiKey)));
  assert.deepEqual(statuses, [200, 200, 200, 200]);
  while ((await pepperVersionOf(used.keyId)) !== 2) await new Promise((done) => setTimeout(done, 5));
  assert.equal(await pepperVersionOf(unused.keyId), 1);
  assert.deepEqual([await statusOf(used.apiKey), await statusOf(fresh.apiKey)], [200, 200]);
  for (const { keyId, apiKey } of [used, unused, fresh]) {
    assert.equal((await ask('DELETE', `/api/keys/${keyId}`, { headers })).status, 204);
    assert.equal(await statusOf(apiKey), 401);
  }
  await rotated('api-key-pepper');
  assert.equal(await statusOf(unused.apiKey), 401, 'a revoked key does not come back');
  assert.equal(await statusOf(firstRun.apiKey), 200, 'two versions later');
});

test('sessions go on under a new key until their own end, and end when they are ended', async () => {
  const open = await house.adminSession();
  const other = await house.adminSession();
  await rotated('session');
  const fresh = await house.adminSession();
  const status = async (who: Record<string, string>): Promise<number> =>
    (await ask('GET', '/auth/me', { headers: who })).status;
  assert.deepEqual([await status(open), await status(other), await status(fresh)], [200, 200, 200]);
  assert.equal((await ask('POST', '/auth/logout', { headers: other })).status, 200);
  assert.deepEqual([await status(open), await status(other), await status(fresh)], [200, 401, 200]);
  assert.equal((await installationKeys.candidates('session', SESSION_LIFE_MS)).length, 2);
  await rotated('session', SESSION_LIFE_MS + SETTLED_MS);
  assert.equal(
    (await installationKeys.candidates('session', SESSION_LIFE_MS)).length,
    1,
    'older keys made none that lives',
  );
});

test('a version that is not in use yet is read with and not made with', async () => {
  const before = await installationKeys.secret('cursor');
  await installationKeys.rotate('cursor');
  house.keysClock.aheadMs += 30_000;
  while ((await installationKeys.candidates('cursor')).length !== 2) await new Promise((done) => setTimeout(done, 5));
  const [first, second] = await installationKeys.candidates('cursor', 1_000);
  assert.deepEqual([first, second?.version], [before, 2]);
});
