// The chain in a real database: many writers at once, old lines, tampering by whoever owns the database, a cut end.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import pg from 'pg';
import { testDatabase } from '../test/harness.ts';
import { audit, keepAuditChain } from './audit.ts';
import { createAuditLog } from './audit-log.ts';

const db = await testDatabase();
const directory = await mkdtemp(join(tmpdir(), 'lumatrace-audit-'));
// a connection per theft, closed before the next step: a pool's end does not wait for its sockets, and the database is
// dropped by force
const thief = {
  async query(statement: string, values: readonly unknown[]): Promise<void> {
    const client = new pg.Client(db.superuser);
    await client.connect();
    try {
      await client.query(statement, [...values]);
    } finally {
      await client.end();
    }
  },
};
after(async () => {
  await db.close();
  await rm(directory, { recursive: true, force: true });
});
const { database } = db;
const secret = randomBytes(32);
keepAuditChain(database, secret);
const seed = randomBytes(32);
const log = createAuditLog({ database, secret, checkpointSeed: seed, directory });

async function newTenant(): Promise<string> {
  const tenantId = randomUUID();
  await database.inSystem((sql) => sql.query(`insert into tenants (tenant_id, name) values ($1, 'x')`, [tenantId]));
  return tenantId;
}

const write = (tenantId: string, n: number): Promise<void> =>
  database.inTenant(tenantId, (sql) =>
    audit(sql, {
      tenantId,
      actor: `key:${n}`,
      action: 'test',
      object: 'x:y',
      outcome: 'done',
      requestId: String(n),
      detail: { n, gone: undefined, text: 'ä "\\ 1e21', big: 1e21, tiny: 1e-7, nested: [{ b: 1, a: null }] },
    }),
  );

test('writers at once make one chain per tenant, without a gap', async () => {
  const tenants = [await newTenant(), await newTenant(), await newTenant()];
  await Promise.all(tenants.flatMap((tenantId) => Array.from({ length: 60 }, (_, n) => write(tenantId, n))));
  for (const tenantId of tenants) {
    assert.deepEqual(await log.verify(tenantId), { tenantId, lines: 60, checkpoints: 0, finding: undefined });
  }
});

test('a line that is rolled back leaves no place', async () => {
  const tenantId = await newTenant();
  await write(tenantId, 1);
  const refused = database.inTenant(tenantId, async (sql) => {
    await audit(sql, { tenantId, actor: 'a', action: 'b', object: 'c', outcome: 'done', requestId: 'd' });
    throw new TypeError('no effect');
  });
  await assert.rejects(refused, /no effect/);
  await write(tenantId, 2);
  assert.equal((await log.verify(tenantId)).lines, 2);
});

test('a writer of one tenant does not wait for another one', async () => {
  const [slow, quick] = [await newTenant(), await newTenant()];
  let isSlowDone = false;
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = database.inTenant(slow, async (sql) => {
    await audit(sql, { tenantId: slow, actor: 'a', action: 'b', object: 'c', outcome: 'done', requestId: 'd' });
    await promise;
    isSlowDone = true;
  });
  await write(quick, 1);
  assert.equal(isSlowDone, false);
  resolve();
  await held;
});

test('lines from before the chain are chained once; one put beside a chain stays outside and is found', async () => {
  const tenantId = await newTenant();
  const old = (n: number): Promise<unknown> =>
    database.inTenant(tenantId, (sql) =>
      sql.query(
        `insert into audit (tenant_id, actor, action, object, outcome, detail)
         select $1, 'key:' || n, 'old', 'x', 'done', '{"b": 1.50, "a": [null]}' from generate_series(1, $2) as n`,
        [tenantId, n],
      ),
    );
  await old(1_500);
  assert.equal(await log.adopt(), 1_500);
  assert.equal((await log.verify(tenantId)).finding, undefined);
  await write(tenantId, 1);
  assert.equal((await log.verify(tenantId)).lines, 1_501);
  await old(1);
  assert.equal(await log.adopt(), 0);
  assert.equal((await log.verify(tenantId)).finding?.fault, 'position');
  assert.ok((await log.gaps()).some((gap) => gap.tenantId === tenantId));
});

const TAMPERINGS: Readonly<Record<string, string>> = {
  edit: `update audit set object = 'x:z' where tenant_id = $1 and position = 7`,
  delete: 'delete from audit where tenant_id = $1 and position = 7',
  insert: `insert into audit (tenant_id, actor, action, object, outcome) values ($1, 'x', 'x', 'x', 'x')`,
  reorder: `update audit a set actor = b.actor, detail = b.detail from audit b
            where a.tenant_id = $1 and b.tenant_id = $1 and a.position in (6, 7) and b.position = 13 - a.position`,
  truncate: 'delete from audit where tenant_id = $1 and position > 7',
  replay: `insert into audit (tenant_id, at, actor, action, object, outcome, request_id, detail, position, hash, mac)
           select tenant_id, at, actor, action, object, outcome, request_id, detail, 11, hash, mac
           from audit where tenant_id = $1 and position = 7`,
};

for (const [kind, statement] of Object.entries(TAMPERINGS)) {
  test(`a superuser's ${kind} is found`, async () => {
    const tenantId = await newTenant();
    for (let n = 0; n < 10; n++) await write(tenantId, n);
    await log.checkpoint();
    assert.equal((await log.verify(tenantId)).finding, undefined);
    await thief.query(statement, [tenantId]);
    assert.ok((await log.verify(tenantId)).finding);
    assert.ok((await log.faults()).some((verdict) => verdict.tenantId === tenantId));
  });
}

test('checkpoints are signed when a chain grew, and never for one that shrank', async () => {
  const tenantId = await newTenant();
  await write(tenantId, 1);
  await log.checkpoint();
  await log.checkpoint();
  await write(tenantId, 2);
  await log.checkpoint();
  assert.equal((await log.verify(tenantId)).checkpoints, 2);
  assert.ok((await log.gaps()).every((gap) => gap.tenantId !== tenantId));
  await thief.query('delete from audit where tenant_id = $1 and position = 2', [tenantId]);
  await log.checkpoint();
  const { checkpoints, finding } = await log.verify(tenantId);
  assert.equal(checkpoints, 2);
  assert.equal(finding?.fault, 'truncated');
  assert.ok((await log.gaps()).some((gap) => gap.tenantId === tenantId));
});

test('a chain that was written anew behind a checkpoint is not signed again, and is told within the next look', async () => {
  const tenantId = await newTenant();
  for (let n = 0; n < 5; n++) await write(tenantId, n);
  await log.checkpoint();
  // who has the database and the keys of the macs: the chain holds, the root that was signed does not
  await thief.query('delete from audit where tenant_id = $1', [tenantId]);
  for (let n = 10; n < 16; n++) await write(tenantId, n);
  const restarted = createAuditLog({ database, secret, checkpointSeed: seed, directory });
  await restarted.checkpoint();
  assert.equal((await restarted.verify(tenantId)).checkpoints, 1);
  assert.equal((await restarted.verify(tenantId)).finding?.fault, 'checkpoint');
  assert.ok((await restarted.gaps()).some((gap) => gap.tenantId === tenantId && /root/.test(gap.because)));
  assert.equal(await restarted.prove(tenantId, 2), undefined);
});

test('a process that starts goes on from the checkpoints of the one before', async () => {
  const tenantId = await newTenant();
  for (let n = 0; n < 3; n++) await write(tenantId, n);
  await log.checkpoint();
  const restarted = createAuditLog({ database, secret, checkpointSeed: seed, directory });
  for (let n = 3; n < 1_100; n += 100) await write(tenantId, n);
  // asked at once, signed once
  await Promise.all([restarted.checkpoint(), restarted.checkpoint(), restarted.prove(tenantId, 12)]);
  const { checkpoints, finding } = await restarted.verify(tenantId);
  assert.deepEqual([checkpoints, finding], [2, undefined]);
});

test('the newest lines come first, page by page, and filters hold together', async () => {
  const tenantId = await newTenant();
  for (let n = 0; n < 5; n++) await write(tenantId, n);
  const first = await log.search(tenantId, {}, { before: null, limit: 3 });
  assert.deepEqual([first.lines.map(({ position }) => position), first.nextBefore], [[5, 4, 3], 3]);
  const second = await log.search(tenantId, {}, { before: 3, limit: 3 });
  assert.deepEqual([second.lines.map(({ position }) => position), second.nextBefore], [[2, 1], null]);
  const one = await log.search(tenantId, { actor: 'key:2', action: 'test' }, { before: null, limit: 3 });
  assert.deepEqual(
    one.lines.map(({ position }) => position),
    [3],
  );
  const none = await log.search(tenantId, { actor: 'key:2', outcome: 'denied' }, { before: null, limit: 3 });
  assert.deepEqual(none.lines, []);
});
