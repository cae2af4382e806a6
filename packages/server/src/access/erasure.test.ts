// Erasing a tenant: at once nothing of it opens, then its rows go, and a signed certificate says what was done.
import assert from 'node:assert/strict';
import { createPublicKey, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { testRoom } from '../ingest/fixtures/room.ts';
import { kekFromBytes } from '../keys/kek.ts';
import { createTenantKeys } from '../keys/tenant-keys.ts';
import { ERASED_TABLES, KEPT_TABLES } from '../storage/postgres/erasure.ts';
import { openAll, sealRows } from '../test/sealed-rows.ts';
import { keepAuditChain } from './audit.ts';
import { checkpointKey } from './audit-checkpoint.ts';
import { createAuditLog } from './audit-log.ts';
import { createErasures, type ErasuresOptions } from './erasure.ts';
import { readCertificate } from './erasure-certificate.ts';

const kek = kekFromBytes(randomBytes(32));
const room = await testRoom({ kek });
const { database } = room.db;
const seed = Buffer.alloc(32, 3);
const signingKey = checkpointKey(seed);
const publicKey = createPublicKey(signingKey);
const directory = await mkdtemp(join(tmpdir(), 'lumatrace-erasure-'));
const secret = randomBytes(32);
keepAuditChain(database, secret);
const auditLog = createAuditLog({ database, secret, checkpointSeed: seed, directory });
after(async () => {
  await room.close();
  await rm(directory, { recursive: true, force: true });
});
const NEVER = new AbortController().signal;
const BY = { actor: 'account:test', requestId: 'test', name: 'Test' };

const erasuresOf = (more: Partial<ErasuresOptions> = {}) =>
  createErasures({ database, signingKey, forget: room.tenantKeys.forget, settledMs: 0, ...more });

async function rowsLeft(tenantId: string): Promise<string[]> {
  const left: string[] = [];
  for (const table of ERASED_TABLES) {
    const { rowCount } = await database.inTenant(tenantId, (sql) => sql.query(`select from ${table}`));
    if (rowCount > 0) left.push(table);
  }
  return left;
}

async function addPerson(...tenants: string[]): Promise<string> {
  const accountId = randomUUID();
  await database.inAccount(accountId, (sql) =>
    sql.query(`insert into accounts (account_id, email, name) values ($1, $2, 'P')`, [
      accountId,
      `${accountId}@example.com`,
    ]),
  );
  for (const tenantId of tenants)
    await database.inTenant(tenantId, (sql) =>
      sql.query(`insert into memberships (tenant_id, account_id, role) values ($1, $2, 'owner')`, [
        tenantId,
        accountId,
      ]),
    );
  return accountId;
}

const isThere = async (accountId: string): Promise<boolean> =>
  (await database.inAccount(accountId, (sql) => sql.query('select from accounts where account_id = $1', [accountId])))
    .rowCount === 1;

test('every table of tenants is erased or is kept for a reason', async () => {
  const { rows } = await database.inSystem((sql) =>
    sql.query<{ name: string }>(`
      select c.relname as name from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)`),
  );
  const known = new Set<string>([...ERASED_TABLES, ...KEPT_TABLES.keys()]);
  assert.deepEqual(
    rows.map(({ name }) => name).filter((name) => !known.has(name)),
    [],
  );
  for (const name of known) assert.ok(rows.some((row) => row.name === name) || name === 'accounts', name);
});

test('at once nothing opens, not even rows that come back from a dump; the neighbour keeps everything', async () => {
  const [tenantId, neighbour] = [await room.newTenant(), await room.newTenant()];
  await sealRows(room, tenantId, 3);
  await sealRows(room, neighbour, 3);
  const inHand = await room.tenantKeys.forTenant(tenantId);
  const { keyVersions, certificate } = await erasuresOf().begin(tenantId, BY);
  assert.deepEqual([keyVersions, certificate], [[1], null]);
  // who held the key, who asks for it here, and another process
  assert.throws(() => inHand.derive('watermark', 'payload|1'), { code: 'TENANT_RESTRICTED' });
  await assert.rejects(room.tenantKeys.forTenant(tenantId), { code: 'TENANT_RESTRICTED' });
  await assert.rejects(createTenantKeys({ database, kek }).forTenant(tenantId), { code: 'TENANT_RESTRICTED' });
  // the rows are still there, as they would be in a dump
  const opened = await database.inTenant(tenantId, (sql) => openAll(sql, tenantId, inHand));
  assert.ok(opened.length >= 15 && opened.every(({ plain }) => plain === undefined));
  const { rows } = await database.inTenant(tenantId, (sql) =>
    sql.query<{ bytes: number }>('select octet_length(wrapped) as bytes from tenant_keys'),
  );
  assert.deepEqual(rows, [{ bytes: 0 }]);
  const theirs = await database.inTenant(neighbour, async (sql) =>
    openAll(sql, neighbour, await room.tenantKeys.forTenant(neighbour)),
  );
  assert.ok(theirs.length >= 15 && theirs.every(({ plain }) => plain !== undefined));
});

test('killed again and again it goes on; the certificate says what went; the audit chain holds', async () => {
  const [tenantId, neighbour] = [await room.newTenant(), await room.newTenant()];
  await sealRows(room, tenantId, 5);
  await sealRows(room, neighbour, 1);
  const [alone, shared] = [await addPerson(tenantId), await addPerson(tenantId, neighbour)];
  const before = await rowsLeft(neighbour);
  const { erasureId } = await erasuresOf().begin(tenantId, BY);
  assert.deepEqual([await isThere(alone), await isThere(shared)], [false, true]);
  let rounds = 0;
  for (; rounds < 50; rounds++) {
    let transactions = 0;
    const dying = {
      inTenant: database.inTenant.bind(database),
      inSystem: (work: Parameters<typeof database.inSystem>[0]) =>
        database.inSystem(async (sql) => {
          const result = await work(sql);
          if (++transactions > 20 + rounds * 10) throw new Error('killed');
          return result;
        }),
    } as typeof database;
    keepAuditChain(dying, secret);
    const isLeft = await erasuresOf({ database: dying })
      .work(NEVER)
      .catch(() => true);
    if (!isLeft) break;
  }
  assert.ok(rounds > 0 && rounds < 50, `${rounds} rounds`);
  assert.deepEqual(await rowsLeft(tenantId), []);
  assert.deepEqual(await rowsLeft(neighbour), before);
  const found = await erasuresOf().find({ erasureId });
  const facts = readCertificate(publicKey, found?.certificate ?? '');
  assert.equal(facts?.tenantId, tenantId);
  assert.deepEqual(facts.keyVersionsDestroyed, [1]);
  const { traces, photos, spans, content_blocks: blocks, accounts, memberships } = facts.rowsRemoved;
  assert.deepEqual([traces, photos, spans, blocks, accounts, memberships], [5, 5, 5, 10, 1, 2]);
  assert.ok(facts.survives.some(({ what }) => what.startsWith('backups')));
  const verdict = await auditLog.verify(tenantId);
  assert.deepEqual([verdict.lines, verdict.finding], [2, undefined]);
  assert.deepEqual(await erasuresOf().find({ tenantId: neighbour }), undefined);
  assert.deepEqual(await erasuresOf().find({ erasureId: randomUUID() }), undefined);
});

test('erasing twice, or by five at once, is erasing once; another name erases nothing', async () => {
  const tenantId = await room.newTenant();
  await sealRows(room, tenantId, 1);
  await assert.rejects(erasuresOf().begin(tenantId, { ...BY, name: 'test' }), { code: 'VALIDATION_FAILED' });
  await room.tenantKeys.forTenant(tenantId);
  await assert.rejects(erasuresOf().begin(randomUUID(), BY), { code: 'NOT_FOUND' });
  const begun = await Promise.all(Array.from({ length: 5 }, () => erasuresOf().begin(tenantId, BY)));
  assert.equal(new Set(begun.map(({ erasureId }) => erasureId)).size, 1);
  await erasuresOf().work(NEVER);
  const again = await erasuresOf().begin(tenantId, BY);
  assert.equal(again.erasureId, begun[0]?.erasureId);
  assert.ok(again.certificate);
  const { rowCount } = await database.inTenant(tenantId, (sql) =>
    sql.query(`select from audit where action = 'tenant.erase'`),
  );
  assert.equal(rowCount, 1);
});

test('what another process wrote after the keys went is found by the look that decides', async () => {
  const tenantId = await room.newTenant();
  await sealRows(room, tenantId, 1);
  await erasuresOf().begin(tenantId, BY);
  assert.equal(await erasuresOf({ settledMs: 60_000 }).work(NEVER), true);
  await database.inTenant(tenantId, (sql) =>
    sql.query(
      `insert into usage (tenant_id, day, traces, spans, duplicates, replaced, bytes)
      values ($1, now()::date, 1, 1, 0, 0, 1)`,
      [tenantId],
    ),
  );
  assert.equal((await erasuresOf().find({ tenantId }))?.certificate, null);
  assert.equal(await erasuresOf().work(NEVER), false);
  assert.deepEqual(await rowsLeft(tenantId), []);
});

test('a tenant that never had a key gets none after its erasure', async () => {
  const tenantId = await room.newTenant();
  await erasuresOf().begin(tenantId, BY);
  await assert.rejects(createTenantKeys({ database, kek }).forTenant(tenantId), { code: 'TENANT_RESTRICTED' });
});

test('a certificate with any byte changed, or under another key, is none', async () => {
  const tenantId = await room.newTenant();
  await erasuresOf().begin(tenantId, BY);
  await erasuresOf().work(NEVER);
  const note = (await erasuresOf().find({ tenantId }))?.certificate ?? '';
  assert.ok(readCertificate(publicKey, note));
  for (let at = 0; at < note.length; at++) {
    const changed = `${note.slice(0, at)}${note[at] === 'x' ? 'y' : 'x'}${note.slice(at + 1)}`;
    assert.equal(readCertificate(publicKey, changed), undefined, `byte ${at}`);
  }
  assert.equal(readCertificate(createPublicKey(checkpointKey(Buffer.alloc(32, 4))), note), undefined);
});
