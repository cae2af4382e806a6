// Our certificates: OpenSSL and the C2PA validator agree that they are what they should be.
import assert from 'node:assert/strict';
import { randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { signImage } from '@lumatrace/provenance/c2pa/sign.ts';
import { verifyC2pa } from '@lumatrace/provenance/c2pa/verify.ts';
import {
  certificateSha256,
  CERTIFICATE_DAYS,
  chainDer,
  createRoot,
  issueCa,
  issueLeaf,
  leafState,
  type Root,
} from './certificates.ts';
import { SignerProcess } from './signer/client.ts';
import { wrappingKeyFrom } from './signer/protocol.ts';

const DAY_MS = 86_400_000;
const organization = 'Estudio Ñandú & Søn, S.L.';
const now = new Date();
let directory: string;
let signer: SignerProcess;
let root: Root;
let caPem: string;
let leafPem: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certificates-test-'));
  signer = await SignerProcess.start({ wrappingKey: wrappingKeyFrom(randomBytes(32)), directory });
  for (const name of ['ca', 'leaf']) await signer.load(name, (await generated(name)).wrappedPrivate);
  root = await createRoot({ organization, now });
  caPem = await issueCa({ root, publicKeySpki: (await generated('ca')).publicKeySpki, organization, now });
  leafPem = await issueLeaf(await leafRequest());
});

after(async () => {
  await signer.close();
  await rm(directory, { recursive: true, force: true });
});

const keys = new Map<string, ReturnType<SignerProcess['generate']>>();
function generated(name: string): ReturnType<SignerProcess['generate']> {
  const known = keys.get(name) ?? signer.generate('es256');
  keys.set(name, known);
  return known;
}

async function leafRequest(): Promise<Parameters<typeof issueLeaf>[0]> {
  const { publicKeySpki } = await generated('leaf');
  return { caCertificatePem: caPem, signWithCa: (tbs) => signer.sign('ca', tbs), publicKeySpki, organization, now };
}

test('each certificate is signed by the next', () => {
  const [rootX, caX, leafX] = [root.certificatePem, caPem, leafPem].map((pem) => new X509Certificate(pem));
  assert.ok(rootX && caX && leafX);
  assert.equal(rootX.verify(rootX.publicKey), true);
  assert.equal(caX.verify(rootX.publicKey) && caX.checkIssued(rootX), true);
  assert.equal(leafX.verify(caX.publicKey) && leafX.checkIssued(caX), true);
  assert.deepEqual([rootX.ca, caX.ca, leafX.ca], [true, true, false]);
  assert.deepEqual(leafX.keyUsage, ['1.3.6.1.4.1.62558.2.1']);
  assert.equal(leafX.subject, 'O=Estudio Ñandú & Søn\\, S.L.\nCN=LumaTrace C2PA Signer'); // escaped by RFC 2253
  assert.equal(leafX.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
});

test('they live for ten years, one year and at most ninety days', async () => {
  assert.deepEqual([root.certificatePem, caPem, leafPem].map(daysOf), [3_652, 365, 90]);
  assert.equal(daysOf(await issueLeaf({ ...(await leafRequest()), days: 7 })), 7);
  for (const wrong of [0, 91, Number.NaN])
    await assert.rejects(issueLeaf({ ...(await leafRequest()), days: wrong }), RangeError);
});

test('a leaf never outlives its issuing CA', async () => {
  const late = new Date(now.getTime() + 300 * DAY_MS);
  await assert.rejects(issueLeaf({ ...(await leafRequest()), now: late }), RangeError);
  assert.ok(await issueLeaf({ ...(await leafRequest()), now: late, days: 60 }));
});

test('a signature by another key is noticed before the certificate is given out', async () => {
  const request = { ...(await leafRequest()), signWithCa: (tbs: Uint8Array) => signer.sign('leaf', tbs) };
  await assert.rejects(issueLeaf(request), /Expected a signature by the issuer's key/);
});

test('serial numbers are positive, long and never the same', async () => {
  const serials = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const { serialNumber } = new X509Certificate(await issueLeaf(await leafRequest()));
    assert.match(serialNumber, /^[4-7][0-9A-F]{31}$/);
    serials.add(serialNumber);
  }
  assert.equal(serials.size, 20);
});

test('a leaf is due after sixty days and finished after ninety', () => {
  assert.equal(leafState(leafPem, inDays(0)), 'fresh');
  assert.equal(leafState(leafPem, inDays(59)), 'fresh');
  assert.equal(leafState(leafPem, inDays(CERTIFICATE_DAYS.rotateLeafAfter)), 'due');
  assert.equal(leafState(leafPem, inDays(90)), 'finished');
  assert.equal(leafState(leafPem, inDays(-1)), 'finished');
});

test('an organization without a printable name is refused', async () => {
  for (const name of ['', ' \u0000\u202e ']) await assert.rejects(createRoot({ organization: name, now }), TypeError);
});

test('the validator trusts what such a leaf signs through the signer process', async () => {
  const photo = new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url);
  const trust = { anchorsPem: root.certificatePem };
  const { bytes } = await signImage({
    bytes: new Uint8Array(readFileSync(photo)),
    format: 'jpeg',
    signer: signer.signer('leaf', 'es256', chainDer(leafPem, caPem)),
    trust,
    photoId: '6b1c5a2e-6f0e-4d3c-9a71-0f5f3f0f1a2b',
    softBinding: { alg: 'org.lumatrace.watermark.1', value: Uint8Array.of(1, 2, 3) },
    signedAt: now,
    generatorVersion: '0.1.0',
  });
  const result = await verifyC2pa({ bytes, format: 'jpeg', trust });
  assert.equal(result.status, 'VALID', JSON.stringify(result.findings));
  assert.equal(result.manifest?.signer?.certificateSha256, certificateSha256(leafPem));
  const revocations = [{ certificateSha256: certificateSha256(caPem), revokedAt: now }];
  assert.equal((await verifyC2pa({ bytes, format: 'jpeg', trust, revocations })).status, 'INVALID');
});

const inDays = (days: number): Date => new Date(now.getTime() + days * DAY_MS);

function daysOf(pem: string): number {
  const { validFromDate, validToDate } = new X509Certificate(pem);
  return (validToDate.getTime() - validFromDate.getTime()) / DAY_MS;
}
