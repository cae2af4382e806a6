// Rotation of a tenant's data key: on schedule, by hand, by two at once; nothing sealed is lost, nothing old is left.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { testRoom } from '../ingest/fixtures/room.ts';
import type { Aad } from '../storage/sealed.ts';
import type { AlertRow } from '../storage/postgres/audit-alerts.ts';
import { kekFromBytes } from './kek.ts';
import { STOP_AFTER_MS, TenantKeyRing, TRUSTED_FOR_MS } from './tenant-key-ring.ts';
import { createTenantKeys, SETTLED_MS, RELOAD_AFTER_MS } from './tenant-keys.ts';
import { hurriedRotation } from './tenant-rotation.fixture.ts';
import type { KeyEvent, TenantRotationOptions } from './tenant-rotation.ts';

const room = await testRoom();
after(() => room.close());
const { database } = room.db;
const kek = kekFromBytes(randomBytes(32));
const NEVER = new AbortController().signal;
const aad = (text: string): Aad => text as Aad;

function rotationOf(more: Partial<TenantRotationOptions> = {}) {
  const events: KeyEvent[] = [];
  const alerts: AlertRow[] = [];
  const tenantKeys = createTenantKeys({ database, kek });
  const rotation = hurriedRotation({
    database,
    tenantKeys,
    kek,
    record: (_sql, event) => Promise.resolve(void events.push(event)),
    alert: (row) => Promise.resolve(void alerts.push(row)),
    ...more,
  });
  return { rotation, tenantKeys, events, alerts };
}

const statesOf = (tenantId: string): Promise<Array<{ version: number; state: string; bytes: number }>> =>
  database.inTenant(tenantId, async (sql) => {
    const { rows } = await sql.query<{ version: number; state: string; bytes: number }>(
      'select version, state, octet_length(wrapped) as bytes from tenant_keys order by version',
    );
    return rows;
  });

/** The key was made so long ago. */
const age = (tenantId: string, days: number): Promise<unknown> =>
  database.inTenant(tenantId, (sql) =>
    sql.query(`update tenant_keys set activated_at = now() - $1 * interval '1 day'`, [days]),
  );

test('a version that was just written opens and does not seal; it seals once every process has read it', async () => {
  const tenantId = await room.newTenant();
  const { rotation } = rotationOf({ settledMs: 400 });
  const [one, two] = [createTenantKeys({ database, kek }), createTenantKeys({ database, kek })];
  const before = await one.forTenant(tenantId);
  const old = before.seal('content', aad('a'), Buffer.from('old'));
  assert.deepEqual(await rotation.rotate(tenantId), { version: 2, isNew: true });
  const after = await two.forTenant(tenantId);
  assert.equal(after.version, 1);
  await new Promise((resolve) => setTimeout(resolve, 450));
  // the same object, held since before it came into use
  assert.equal(after.version, 2);
  assert.equal(after.open('content', aad('a'), old).toString(), 'old');
});

test('a key in hand learns of a new version while it is used', async () => {
  const tenantId = await room.newTenant();
  let nowMs = 0;
  const keys = createTenantKeys({ database, kek, nowMs: () => nowMs });
  const key = await keys.forTenant(tenantId);
  await rotationOf().rotation.rotate(tenantId);
  const sealed = (await createTenantKeys({ database, kek }).forTenant(tenantId)).seal(
    'content',
    aad('a'),
    Buffer.from('x'),
  );
  assert.throws(() => key.open('content', aad('a'), sealed), { code: 'KEY_UNKNOWN_VERSION' });
  nowMs += RELOAD_AFTER_MS;
  // this use finds it stale and asks to be tried again, the reading goes on beside it
  assert.throws(() => key.open('content', aad('a'), sealed), { code: 'UNAVAILABLE' });
  for (let look = 0; look < 100 && key.version === 1; look++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(key.open('content', aad('a'), sealed).toString(), 'x');
  assert.ok(SETTLED_MS > 2 * RELOAD_AFTER_MS);
});

test('ten rotations at once write one version', async () => {
  const tenantId = await room.newTenant();
  const made = await Promise.all(
    Array.from({ length: 10 }, () => rotationOf({ settledMs: 60_000 }).rotation.rotate(tenantId)),
  );
  assert.deepEqual([...new Set(made.map(({ version }) => version))], [2]);
  assert.equal(made.filter(({ isNew }) => isNew).length, 1);
});

test('all tenants are rotated by one order, those on their way are left', async () => {
  const tenants = [await room.newTenant(), await room.newTenant(), await room.newTenant()];
  const { rotation, tenantKeys } = rotationOf({ settledMs: 60_000 });
  for (const id of tenants) await tenantKeys.forTenant(id);
  await rotation.rotate(tenants[0] as string);
  await rotation.rotateAll();
  assert.equal(await rotation.rotateAll(), 0);
  for (const id of tenants)
    assert.deepEqual(
      (await statesOf(id)).map(({ version }) => version),
      [0, 1, 2],
    );
});

test('the schedule leaves a key of 59 days and rotates one of 60, and one that sealed 2^30 times', async () => {
  const [young, old, busy] = [await room.newTenant(), await room.newTenant(), await room.newTenant()];
  const { rotation, tenantKeys, events, alerts } = rotationOf();
  for (const id of [young, old, busy]) await tenantKeys.forTenant(id);
  await age(young, 59);
  await age(old, 60);
  await database.inTenant(busy, (sql) => sql.query('update tenant_keys set seals = 1073741824'));
  await rotation.work(NEVER);
  const rotated = events.filter(({ action }) => action === 'tenant-key.rotate').map(({ tenantId }) => tenantId);
  assert.deepEqual(rotated.filter((id) => [young, old, busy].includes(id)).sort(), [old, busy].sort());
  assert.deepEqual(alerts, []);
});

test('at 75 and 85 days somebody is told', async () => {
  const [late, overdue] = [await room.newTenant(), await room.newTenant()];
  const { rotation, tenantKeys, alerts } = rotationOf();
  for (const id of [late, overdue]) await tenantKeys.forTenant(id);
  await age(late, 75);
  await age(overdue, 85);
  await rotation.work(NEVER);
  assert.deepEqual(
    alerts.map(({ kind, about }) => [kind, about]),
    [
      ['key.overdue', `tenant:${overdue}`],
      ['key.late', `tenant:${late}`],
    ],
  );
});

test('at 90 days nothing is sealed any more, what is there opens, and a rotation mends it', async () => {
  const tenantId = await room.newTenant();
  const { rotation, tenantKeys } = rotationOf();
  const sealed = (await tenantKeys.forTenant(tenantId)).seal('content', aad('a'), Buffer.from('kept'));
  await age(tenantId, 90);
  const key = await createTenantKeys({ database, kek }).forTenant(tenantId);
  assert.throws(() => key.seal('content', aad('a'), Buffer.from('new')), { code: 'UNAVAILABLE' });
  assert.equal(key.open('content', aad('a'), sealed).toString(), 'kept');
  await rotation.rotate(tenantId);
  const mended = await createTenantKeys({ database, kek }).forTenant(tenantId);
  mended.seal('content', aad('a'), Buffer.from('new'));
  assert.equal(mended.open('content', aad('a'), sealed).toString(), 'kept');
});

test('a process that holds the key while it turns 90 days old stops too, and so does one that sleeps', () => {
  let nowMs = 0;
  const ring = new TenantKeyRing({ tenantId: 'tenant', nowMs: () => nowMs });
  const one = { version: 1, secret: Buffer.alloc(32, 1), canSeal: true, seals: 0 };
  ring.give({ versions: [{ ...one, ageMs: STOP_AFTER_MS - 1_000 }], readAtMs: 0 });
  const seal = (): Buffer => ring.seal('content', aad('a'), Buffer.from('x'));
  seal();
  nowMs = 1_000;
  assert.throws(seal, { code: 'UNAVAILABLE' });
  ring.give({ versions: [{ ...one, ageMs: 0 }], readAtMs: 1_000 });
  seal();
  nowMs = 1_000 + TRUSTED_FOR_MS;
  assert.throws(seal, { code: 'UNAVAILABLE' });
  ring.give({ versions: [{ ...one, ageMs: 0, seals: 2 ** 32 }], readAtMs: nowMs });
  assert.throws(seal, { code: 'UNAVAILABLE' });
});

test('seals are counted over all processes', async () => {
  const tenantId = await room.newTenant();
  let nowMs = 0;
  for (const keys of [1, 2].map(() => createTenantKeys({ database, kek, nowMs: () => nowMs }))) {
    const key = await keys.forTenant(tenantId);
    for (let i = 0; i < 100; i++) key.seal('content', aad('a'), Buffer.from('x'));
    nowMs += 60_000;
    await keys.forTenant(tenantId);
  }
  const { rows } = await database.inTenant(tenantId, (sql) =>
    sql.query<{ seals: string }>('select seals from tenant_keys'),
  );
  assert.deepEqual(rows, [{ seals: '200' }]);
});

test('what is derived stays, though version 1 is destroyed and its root cannot give it back', async () => {
  const tenantId = await room.newTenant();
  const { rotation, tenantKeys, events } = rotationOf();
  const derived = (await tenantKeys.forTenant(tenantId)).derive('watermark', 'payload|1');
  await rotation.rotate(tenantId);
  tenantKeys.forget(tenantId);
  await rotation.work(NEVER);
  // the first round starts the passes, which decide at once here
  await rotation.work(NEVER);
  assert.deepEqual(await statesOf(tenantId), [
    { version: 0, state: 'root', bytes: 98 },
    { version: 1, state: 'destroyed', bytes: 0 },
    { version: 2, state: 'active', bytes: 66 },
  ]);
  const key = await createTenantKeys({ database, kek }).forTenant(tenantId);
  assert.deepEqual(key.derive('watermark', 'payload|1'), derived);
  assert.deepEqual(
    events.filter((event) => event.tenantId === tenantId).map(({ action, versions }) => [action, versions]),
    [
      ['tenant-key.rotate', [2]],
      ['tenant-key.supersede', [1]],
      ['tenant-key.destroy', [1]],
    ],
  );
});
