import assert from 'node:assert/strict';
import { createVerify, randomBytes, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { signImage } from '@lumatrace/provenance/c2pa/sign.ts';
import { verifyC2pa } from '@lumatrace/provenance/c2pa/verify.ts';
import { testDatabase, type TestDatabase } from '../test/harness.ts';
import {
  createPhotoCredentials,
  KeyExpired,
  type ClaimAlgorithm,
  type ManifestIdentity,
  type PhotoCredentials,
  type PhotoCredentialsOptions,
} from './photo-credentials.ts';
import { SignerProcess } from './signer/client.ts';
import { wrappingKeyFrom } from './signer/protocol.ts';

const DAY_MS = 86_400_000;
let db: TestDatabase;
let signer: SignerProcess;
let folder: string;
let nowMs = Date.now();

before(async () => {
  db = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-credentials-'));
  signer = await SignerProcess.start({ wrappingKey: wrappingKeyFrom(randomBytes(32)), directory: join(folder, 'run') });
});

after(async () => {
  await signer.close();
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

const options = (): PhotoCredentialsOptions => ({
  database: db.database,
  signer,
  recoveryKitDir: join(folder, 'recovery-kit'),
  organization: 'Test',
  softBindingAlg: 'org.lumatrace.watermark.1',
  nowMs: () => nowMs,
});

const credentials = (alg?: ClaimAlgorithm): PhotoCredentials =>
  createPhotoCredentials({ ...options(), ...(alg && { alg }) });

test('the first start makes a chain that leads to the root, and several starts at once make one', async () => {
  const several = [credentials(), credentials(), credentials()];
  await Promise.all(several.map((each) => each.renew()));
  const identities = await Promise.all(several.map((each) => each.manifest()));
  assert.equal(new Set(identities.map(({ kid }) => kid)).size, 1);
  const { signer: door, trustAnchorsPem } = identities[0]!;
  const [leaf, ca] = door.certificateChainDer.map((der) => new X509Certificate(der));
  const root = new X509Certificate(trustAnchorsPem);
  assert.ok(leaf!.verify(ca!.publicKey) && ca!.verify(root.publicKey));
  const tbs = randomBytes(100);
  const verifier = createVerify('sha256').update(tbs);
  assert.ok(verifier.verify({ key: leaf!.publicKey, dsaEncoding: 'ieee-p1363' }, await door.sign(tbs)));
});

test("the root's key lies in the recovery kit, readable by its owner alone, and not in the database", async () => {
  const path = join(folder, 'recovery-kit', 'c2pa-root.key.pem');
  assert.equal((await stat(path)).mode & 0o777, 0o400);
  assert.match(await readFile(path, 'utf8'), /BEGIN PRIVATE KEY/);
  const { rows } = await db.database.inSystem((sql) =>
    sql.query("select from photo_keys where purpose = 'root' and wrapped_private is not null"),
  );
  assert.equal(rows.length, 0);
});

test('registrations are signed in DER by a key that stays the same', async () => {
  const first = await credentials().registration();
  const again = await credentials().registration();
  assert.equal(first.keyId, again.keyId);
  const message = Buffer.from('record');
  const verifier = createVerify('sha256').update(message);
  assert.ok(verifier.verify(first.publicKeyPem, await first.sign(message)));
});

test('the setting changes how leaves sign: the validator trusts PS256 with 3072 bits, and old pictures stay valid', async () => {
  const elliptic = await credentials().manifest();
  const before = await signedBy(elliptic);
  nowMs += 1_000;
  const changed = credentials('ps256');
  await changed.renew();
  const rsa = await changed.manifest();
  assert.deepEqual([elliptic.signer.alg, rsa.signer.alg], ['es256', 'ps256']);
  const leaf = new X509Certificate(rsa.signer.certificateChainDer[0]!);
  assert.equal(leaf.publicKey.asymmetricKeyDetails?.modulusLength, 3072);
  const trust = { anchorsPem: rsa.trustAnchorsPem };
  for (const bytes of [before, await signedBy(rsa)]) {
    const { status, findings } = await verifyC2pa({ bytes, format: 'jpeg', trust });
    assert.equal(status, 'VALID', JSON.stringify(findings));
  }
  await credentials('ps256').renew();
  assert.equal((await credentials('ps256').manifest()).kid, rsa.kid, 'nothing is due twice');
  nowMs += 1_000;
  const back = credentials();
  await back.renew();
  assert.equal((await back.manifest()).signer.alg, 'es256');
});

async function signedBy({ signer: door, trustAnchorsPem }: ManifestIdentity): Promise<Uint8Array> {
  const { bytes } = await signImage({
    bytes: new Uint8Array(await readFile(new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url))),
    format: 'jpeg',
    signer: door,
    trust: { anchorsPem: trustAnchorsPem },
    photoId: '6b1c5a2e-6f0e-4d3c-9a71-0f5f3f0f1a2b',
    softBinding: { alg: 'org.lumatrace.watermark.1', value: Uint8Array.of(1, 2, 3) },
    signedAt: new Date(),
    generatorVersion: '0.1.0',
  });
  return bytes;
}

test('a leaf is replaced on day sixty, not before, by whoever signs then; several at once make one', async () => {
  nowMs += 1_000;
  await revokeAll();
  const first = (await credentials().manifest()).kid;
  nowMs += 59 * DAY_MS;
  assert.equal((await credentials().manifest()).kid, first);
  nowMs += DAY_MS;
  const several = await Promise.all([credentials(), credentials(), credentials()].map((each) => each.manifest()));
  const [next] = several.map(({ kid }) => kid);
  assert.notEqual(next, first);
  assert.deepEqual(new Set(several.map(({ kid }) => kid)).size, 1);
  nowMs += DAY_MS;
  assert.equal((await credentials().manifest()).kid, next, 'on day 61 nothing more is due');
});

test('processes with different settings, as in a rolling restart, do not replace each other’s leaf while they serve', async () => {
  nowMs += 1_000;
  const [elliptic, rsa] = [credentials(), credentials('ps256')];
  await rsa.renew();
  const { kid } = await rsa.manifest();
  for (let minute = 0; minute < 5; minute++) {
    nowMs += 61_000;
    assert.deepEqual([(await elliptic.manifest()).kid, (await rsa.manifest()).kid], [kid, kid]);
  }
  await elliptic.renew();
});

test('a rotation under load loses no request: who holds the old leaf signs on with it', async () => {
  const running = credentials();
  const seen = new Set<string>();
  let failures = 0;
  const tbs = randomBytes(64);
  const ask = async (): Promise<void> => {
    const { kid, signer: door } = await running.manifest();
    const [leaf] = door.certificateChainDer;
    const signature = await door.sign(tbs);
    const key = { key: new X509Certificate(leaf!).publicKey, dsaEncoding: 'ieee-p1363' } as const;
    if (!createVerify('sha256').update(tbs).verify(key, signature)) failures++;
    seen.add(kid);
  };
  for (let day = 0; day < 62; day++) {
    await Promise.all(Array.from({ length: 8 }, ask));
    nowMs += DAY_MS;
  }
  assert.equal(failures, 0);
  assert.ok(seen.size >= 2, `${seen.size} leaves`);
});

// no certificate has an empty name: every renewal fails
const broken = (): PhotoCredentials => createPhotoCredentials({ ...options(), organization: '' });

test('when renewing fails the old leaf signs through day 89 and nothing on day 90', async () => {
  nowMs += 1_000;
  await revokeAll();
  const { kid } = await credentials().manifest();
  nowMs += 89 * DAY_MS;
  assert.equal((await broken().manifest()).kid, kid);
  nowMs += DAY_MS;
  await assert.rejects(broken().manifest(), KeyExpired);
  assert.notEqual((await credentials().manifest()).kid, kid, 'mended, it signs again');
});

async function revokeAll(): Promise<void> {
  await db.database.inSystem((sql) =>
    sql.query(`update photo_keys set revoked_at = $1 where purpose = 'leaf'`, [new Date(nowMs)]),
  );
}
