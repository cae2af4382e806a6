import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Timestamper } from '@lumatrace/provenance/c2pa/cose.ts';
import { signImage } from '@lumatrace/provenance/c2pa/sign.ts';
import { verifyC2pa } from '@lumatrace/provenance/c2pa/verify.ts';
import { createOwnAuthority } from '../timestamps/authority.ts';
import { createTimestamps } from '../timestamps/timestamps.ts';
import { asProblem, problemResponse } from './errors.ts';
import { certificateRoutes } from './certificates.ts';
import type { Role } from '../access/principal.ts';
import { createPhotoCredentials, type PhotoCredentials } from '../keys/photo-credentials.ts';
import { createRevocations } from '../keys/revocation.ts';
import { SignerProcess } from '../keys/signer/client.ts';
import { wrappingKeyFrom } from '../keys/signer/protocol.ts';
import { claimInstallation, insertTenant } from '../storage/postgres/tenants.ts';
import { testDatabase, type TestDatabase } from '../test/harness.ts';

const HOUR_MS = 3_600_000;
const [ours, theirs] = [randomUUID(), randomUUID()];
let db: TestDatabase;
let signer: SignerProcess;
let folder: string;
let credentials: PhotoCredentials;
let nowMs = Date.now() - 10 * HOUR_MS;

before(async () => {
  db = await testDatabase();
  for (const tenantId of [ours, theirs])
    await db.database.inTenant(tenantId, (sql) => insertTenant(sql, { tenantId, name: 'Test' }));
  await db.database.inTenant(ours, (sql) => claimInstallation(sql, ours));
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-revocation-'));
  signer = await SignerProcess.start({ wrappingKey: wrappingKeyFrom(randomBytes(32)), directory: join(folder, 'run') });
  credentials = createPhotoCredentials({
    database: db.database,
    signer,
    recoveryKitDir: join(folder, 'recovery-kit'),
    organization: 'Test',
    softBindingAlg: 'org.lumatrace.watermark.1',
    nowMs: () => nowMs,
  });
  await credentials.renew();
});

after(async () => {
  await signer.close();
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

async function revoke(kid: string, body: object, tenantId = ours, role: Role = 'owner'): Promise<Response> {
  nowMs += 1_000;
  const [route] = certificateRoutes({
    revocations: createRevocations({ database: db.database }),
    renew: () => credentials.renew(),
  });
  const principal = { kind: 'person', tenantId, subject: 'account:test', scopes: new Set(), role };
  const context = { params: { kid }, body, principal, requestId: 'test' };
  return route!.handle(context as never).catch((error: unknown) => problemResponse(asProblem(error), 'test'));
}

async function kids(purpose: string): Promise<string[]> {
  const { rows } = await db.database.inSystem((sql) =>
    sql.query<{ kid: string }>('select kid from photo_keys where purpose = $1 order by created_at desc', [purpose]),
  );
  return rows.map(({ kid }) => kid);
}

async function audited(): Promise<string[]> {
  const { rows } = await db.database.inTenant(ours, (sql) =>
    sql.query<{ line: string }>(`select action || ' ' || object as line from audit order by seq`),
  );
  return rows.map(({ line }) => line);
}

test('a revoked leaf signs no more: the next picture has another one, and verification knows the moment', async () => {
  const { kid } = await credentials.manifest();
  const at = new Date(nowMs - HOUR_MS).toISOString();
  const response = await revoke(kid, { at, reason: 'key seen on a lost disk' });
  assert.deepEqual([response.status, await response.json()], [200, { kid, revokedAt: at }]);
  const { kid: next, revocations } = await credentials.manifest();
  assert.notEqual(next, kid);
  assert.deepEqual(
    revocations.map(({ revokedAt }) => revokedAt.toISOString()),
    [at],
  );
  assert.deepEqual(await audited(), [`certificate.revoke certificate:${kid}`]);
});

test('the moment moves to an earlier one and never to a later one', async () => {
  const { kid } = await credentials.manifest();
  const [early, late] = [3, 1].map((hours) => new Date(nowMs - hours * HOUR_MS).toISOString());
  const moments: unknown[] = [];
  for (const at of [late, early, late])
    moments.push(((await (await revoke(kid, { at })).json()) as { revokedAt: string }).revokedAt);
  assert.deepEqual(moments, [late, early, early]);
});

test('a revoked issuing CA takes its leaves with it: both are made anew under the same root', async () => {
  const [ca] = await kids('issuing-ca');
  const { kid, trustAnchorsPem } = await credentials.manifest();
  assert.equal((await revoke(ca!, {})).status, 200);
  const after_ = await credentials.manifest();
  assert.notEqual(after_.kid, kid);
  assert.notEqual((await kids('issuing-ca'))[0], ca);
  assert.equal(after_.trustAnchorsPem, trustAnchorsPem);
});

test('refused, without a trace: roots, unknown ids, moments to come, other roles, other tenants', async () => {
  const { kid } = await credentials.manifest();
  const [root] = await kids('root');
  const [registration] = await kids('registration');
  const lines = (await audited()).length;
  const refused = [
    await revoke(root!, {}),
    await revoke(registration!, {}),
    await revoke('unknown', {}),
    await revoke(kid, { at: new Date(Date.now() + HOUR_MS).toISOString() }),
    await revoke(kid, {}, ours, 'admin'),
    await revoke(kid, {}, theirs),
  ];
  assert.deepEqual(
    refused.map(({ status }) => status),
    [409, 409, 404, 400, 403, 403],
  );
  assert.equal((await audited()).length, lines);
  assert.equal((await credentials.manifest()).kid, kid);
});

test('what a trusted stamp puts before the moment stays VALID; what comes after it, or has no stamp, is INVALID', async () => {
  const { database } = db;
  const authority = createOwnAuthority({ database, signer, organization: 'Test', nowMs: () => nowMs });
  const timestamps = createTimestamps({
    source: { own: authority },
    ownAnchorsPem: async () => (await credentials.manifest()).ownAnchorsPem,
    nowMs: () => nowMs,
  });
  await timestamps.renew();
  const { kid, signer: door, trustAnchorsPem } = await credentials.manifest();
  const trust = { anchorsPem: trustAnchorsPem, timestampAnchorsPem: await timestamps.anchorsPem() };
  const source = new Uint8Array(await readFile(new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url)));
  const signed = async (timestamper?: Timestamper): Promise<Uint8Array> => {
    const { bytes } = await signImage({
      bytes: new Uint8Array(source),
      format: 'jpeg',
      signer: door,
      trust,
      photoId: randomUUID(),
      softBinding: { alg: 'org.lumatrace.watermark.1', value: Uint8Array.of(1, 2, 3) },
      signedAt: new Date(nowMs),
      generatorVersion: '0.1.0',
      ...(timestamper && { timestamper }),
    });
    return bytes;
  };
  const { stamp, maxTokenBytes } = timestamps.stamper!;
  const stamper = { stamp, maxTokenBytes: await maxTokenBytes() };
  const [stamped, bare] = [await signed(stamper), await signed()];
  const judge = async (bytes: Uint8Array): Promise<string> => {
    const { revocations } = await credentials.manifest();
    return (await verifyC2pa({ bytes, format: 'jpeg', trust, revocations })).status;
  };
  assert.deepEqual([await judge(stamped), await judge(bare)], ['VALID', 'VALID']);
  const stampedAtMs = nowMs;
  nowMs += 2 * HOUR_MS;
  await revoke(kid, { at: new Date(stampedAtMs + HOUR_MS).toISOString() });
  assert.deepEqual([await judge(stamped), await judge(bare)], ['VALID', 'INVALID']);
  await revoke(kid, { at: new Date(stampedAtMs - HOUR_MS).toISOString() });
  assert.deepEqual([await judge(stamped), await judge(bare)], ['INVALID', 'INVALID']);
});

test('without its audit line there is no revocation', async () => {
  const { kid } = await credentials.manifest();
  const failing = createRevocations({ database: db.database }).revoke({ kid, at: new Date(0) }, ours, async () => {
    throw new Error('no line');
  });
  await assert.rejects(failing, /no line/);
  await credentials.renew();
  assert.equal((await credentials.manifest()).kid, kid);
});
