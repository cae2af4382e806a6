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

const credentials = (alg?: ClaimAlgorithm): PhotoCredentials =>
  createPhotoCredentials({
    ...(alg && { alg }),
    database: db.database,
    signer,
    recoveryKitDir: join(folder, 'recovery-kit'),
    organization: 'Test',
    softBindingAlg: 'org.lumatrace.watermark.1',
    nowMs: () => nowMs,
  });

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

test('a leaf is renewed after sixty days, and one past its end signs nothing', async () => {
  const before60 = await credentials().manifest();
  nowMs += 61 * DAY_MS;
  const renewed = credentials();
  await renewed.renew();
  assert.notEqual((await renewed.manifest()).kid, before60.kid);
  nowMs += 91 * DAY_MS;
  await assert.rejects(credentials().manifest(), KeyExpired);
});
