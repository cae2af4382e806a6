// The log on a real PostgreSQL: many writers, several sequencers, crashes in between, and nobody who can change it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { logOfPem, readCheckpoint } from '@lumatrace/provenance/log/checkpoint.ts';
import { checkReceipt, hashesOf, type Receipt } from '@lumatrace/provenance/log/receipt.ts';
import { isConsistent } from '@lumatrace/provenance/log/tree.ts';
import { insertTenant } from '../storage/postgres/tenants.ts';
import { testDatabase } from '../test/harness.ts';
import { openLog, type Log } from './log.ts';
import { signerHere } from './signer.fixture.ts';

const CHILD = fileURLToPath(new URL('./sequencer.fixture.ts', import.meta.url));
const db = await testDatabase({ maxConnections: 12 });
after(() => db.close());
const { database } = db;

async function newTenant(): Promise<string> {
  const tenantId = randomUUID();
  await database.inTenant(tenantId, (sql) => insertTenant(sql, { tenantId, name: 'Test' }));
  return tenantId;
}

const log = await openLog({ database, signer: signerHere() });
const other = await openLog({ database, signer: signerHere() });
const tenantId = await newTenant();
const said = (object: string) => ({ tenantId, object, action: 'photo.protect', sha256: { output: 'ab'.repeat(32) } });
const append = (to: Log, object = `photo:${randomUUID()}`): Promise<Receipt> =>
  database.inTenant(tenantId, (sql) => to.append(sql, said(object)));
const checkpointOf = async () => readCheckpoint(logOfPem(log.publicKeyPem), (await log.checkpoint()).note);

test('the first start signs the empty tree, and every process has the same key', async () => {
  assert.equal((await checkpointOf()).size, 0);
  assert.equal(log.verifierKey, other.verifierKey);
});

test('an entry has no place before the sequencer came, and a whole receipt after', async () => {
  const object = `photo:${randomUUID()}`;
  const early = await append(log, object);
  assert.equal(checkReceipt(early, log.identity, null).verdict, 'unknown');
  assert.deepEqual(await log.receiptsOf(tenantId, object), [early]);
  assert.equal(await log.sequence(), 1);
  const [receipt] = await log.receiptsOf(tenantId, object);
  assert.equal(receipt?.leafHash, early.leafHash);
  assert.equal(checkReceipt(receipt, log.identity, 'ab'.repeat(32)).verdict, 'included');
  assert.deepEqual(await log.receiptsOf(await newTenant(), object), [], 'another tenant sees nothing');
});

test('8 writers with 200 entries each and two sequencers: every entry once, no gap, one history', async () => {
  const before = await checkpointOf();
  const written = new AbortController();
  const sequencing = [log, other].map(async (one) => {
    while (!written.signal.aborted) await one.sequence();
  });
  const receipts = await Promise.all(
    Array.from({ length: 8 }, async (_, writer) => {
      const own: Receipt[] = [];
      for (let i = 0; i < 200; i++) own.push(await append(writer % 2 === 0 ? log : other));
      return own;
    }),
  );
  written.abort();
  await Promise.all(sequencing);
  await log.sequence();
  const now = await checkpointOf();
  assert.equal(now.size, before.size + 1_600);
  const { leaves } = await log.leaves(before.size, 5_000);
  assert.deepEqual(
    leaves.map((hash) => hash.toString('hex')).toSorted(),
    receipts
      .flat()
      .map(({ leafHash }) => leafHash)
      .toSorted(),
  );
  const { proof } = await log.consistency(before.size, now.size);
  assert.ok(isConsistent(before, now, hashesOf(proof)));
  for (const early of receipts.flat().filter((_, i) => i % 97 === 0)) {
    const found = await log.inclusionOf(Buffer.from(early.leafHash, 'hex'));
    assert.equal(checkReceipt({ ...early, ...found }, log.identity, null).verdict, 'included');
  }
});

test('what was rolled back is in no tree', async () => {
  const { size } = await checkpointOf();
  const failing = database.inTenant(tenantId, async (sql) => {
    await log.append(sql, said('photo:none'));
    throw new Error('the effect failed');
  });
  await assert.rejects(failing, /the effect failed/);
  assert.equal(await log.sequence(), 0);
  assert.equal((await checkpointOf()).size, size);
});

test('a signer that fails after leaves came leaves them without a checkpoint; the next round signs them', async () => {
  const { size } = await checkpointOf();
  const signer = signerHere();
  const dying = await openLog({ database, signer });
  signer.sign = () => Promise.reject(new Error('killed'));
  const early = await append(log);
  await assert.rejects(dying.sequence(), /killed/);
  assert.equal((await checkpointOf()).size, size);
  assert.equal(await log.inclusionOf(Buffer.from(early.leafHash, 'hex')), undefined, 'a leaf that is not signed yet');
  await log.sequence();
  assert.equal((await checkpointOf()).size, size + 1);
  assert.equal((await log.inclusionOf(Buffer.from(early.leafHash, 'hex')))?.leafIndex, size);
});

test('processes killed in the middle of writing and sequencing lose nothing that they acknowledged', async () => {
  const given = JSON.stringify({ app: db.app, owner: db.owner, tenantId });
  const before = await checkpointOf();
  const acknowledged: string[] = [];
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, [CHILD, given], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    while (child.exitCode === null && text.split('\n').length < 40 * (round + 1)) await sleep(5);
    assert.equal(child.exitCode, null, 'it runs until it is killed');
    child.kill('SIGKILL');
    await once(child, 'close');
    acknowledged.push(...text.split('\n').filter((line) => line.length === 64));
  }
  await log.sequence();
  const now = await checkpointOf();
  const { leaves } = await log.leaves(before.size, 5_000);
  const held = leaves.map((hash) => hash.toString('hex'));
  assert.equal(new Set(held).size, now.size - before.size, 'no gap, nothing twice');
  const lost = acknowledged.filter((hash) => !held.includes(hash));
  assert.deepEqual(lost, []);
  const { rows } = await database.inTenant(tenantId, (sql) =>
    sql.query<{ n: string }>('select count(*) as n from log_entries'),
  );
  assert.equal(Number(rows[0]?.n), now.size, 'an entry for every leaf');
  assert.ok(isConsistent(before, now, hashesOf((await log.consistency(before.size, now.size)).proof)));
});

test('a sequencer that dies in its transaction gives everything back', async () => {
  await append(log);
  const dying = database.inSystem(async (sql) => {
    await sql.query('delete from log_pending');
    await sql.query(`insert into log_leaves select coalesce(max(leaf_index) + 1, 0), sha256('x') from log_leaves`);
    throw new Error('killed');
  });
  await assert.rejects(dying, /killed/);
  assert.equal(await log.sequence(), 1);
});

test('a hash that waits twice gets one place', async () => {
  await database.inTenant(tenantId, (sql) =>
    sql.query(`insert into log_pending (leaf_hash) select sha256('twice') from generate_series(1, 3)`),
  );
  assert.equal(await log.sequence(), 1);
  await database.inTenant(tenantId, (sql) => sql.query(`insert into log_pending (leaf_hash) values (sha256('twice'))`));
  assert.equal(await log.sequence(), 0);
});

test('the application cannot change the tree, and the owner is refused too', async () => {
  const statements = [
    `update log_leaves set leaf_hash = sha256('x')`,
    'delete from log_leaves',
    `insert into log_leaves values (1000000, sha256('x'))`,
    'delete from log_subtrees',
    `update log_checkpoints set note = ''`,
    `update log_entries set entry = '{}'`,
    'select * from log_key',
    'select * from log_pending',
  ];
  for (const text of statements)
    await assert.rejects(
      database.inTenant(tenantId, (sql) => sql.query(text)),
      /permission denied/,
      text,
    );
  for (const table of ['log_leaves', 'log_subtrees', 'log_checkpoints'])
    for (const text of [`delete from ${table}`, `truncate ${table}`])
      await assert.rejects(
        database.inSystem((sql) => sql.query(text)),
        /only appended to/,
        text,
      );
});

test('places and sizes that are not signed are refused by code', async () => {
  const { size } = await checkpointOf();
  await assert.rejects(log.inclusionAt(size, null), { code: 'OUT_OF_RANGE' });
  await assert.rejects(log.inclusionAt(0, size + 1), { code: 'OUT_OF_RANGE' });
  await assert.rejects(log.consistency(0, null), { code: 'OUT_OF_RANGE' });
  await assert.rejects(log.consistency(size, size + 1), { code: 'OUT_OF_RANGE' });
  assert.deepEqual((await log.leaves(size, 10)).leaves, []);
});
