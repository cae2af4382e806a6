// What a store tells, against the C2PA library's own reading of the same file.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { before, test } from 'node:test';
import { makeAuthority, type TestAuthority } from '../timestamp/authority.fixture.ts';
import { makeChain, type TestChain } from './chain.fixture.ts';
import { activeCredentialsOf, credentialsOf, type CredentialTerms } from './credentials.ts';
import { photographs } from './images.fixture.ts';
import { signRequest } from './requests.fixture.ts';
import { signImage } from './sign.ts';
import { verifyC2pa } from './verify.ts';
import { readReport } from './wasm.ts';

let image: Uint8Array;
let maker: TestChain;
let chain: TestChain;
let authority: TestAuthority;
before(async () => {
  image = (await photographs()).jpeg;
  [maker, chain, authority] = await Promise.all([makeChain(), makeChain(), makeAuthority()]);
});

const termsOf = (more: Partial<CredentialTerms> = {}): CredentialTerms => ({
  trust: { anchorsPem: chain.trust.anchorsPem, timestampAnchorsPem: authority.rootPem },
  nowMs: Date.now(),
  ...more,
});

/** A generated picture of another maker, opened and marked here. */
async function opened() {
  const made = await signImage({
    ...signRequest(maker, image, 'jpeg'),
    title: 'made',
    digitalSourceType: 'trainedAlgorithmicMedia',
  });
  const timestamper = { maxTokenBytes: 1_500, stamp: (digest: Uint8Array) => authority.stamp(digest) };
  const source = { bytes: made.bytes, format: 'jpeg' } as const;
  return signImage({ ...signRequest(chain, image, 'jpeg'), title: 'opened <b>\u202e', source, timestamper });
}

interface LibraryManifest {
  title?: string;
  claim_generator_info: { name: string; version: string }[];
  signature_info: { alg: string; cert_serial_number: string };
  ingredients?: { title: string; relationship: string; active_manifest?: string }[];
  assertions: { label: string; data: { actions?: { action: string; when?: string; digitalSourceType?: string }[] } }[];
}

test('every manifest is told as the library tells it: title, maker, signer, actions, ingredients', async () => {
  const { bytes, manifestStore } = await opened();
  const text = await readReport(bytes, 'jpeg', chain.trust);
  const report = JSON.parse(text ?? 'null') as { active_manifest: string; manifests: Record<string, LibraryManifest> };
  const told = credentialsOf(manifestStore, termsOf());
  assert.ok(told);
  assert.equal(told.more, 0);
  assert.equal(told.manifests.length, Object.keys(report.manifests).length);
  assert.equal(told.manifests[0]?.label, report.active_manifest);
  for (const { label, title, claimGenerator, algorithm, chain: certificates, actions, ingredients } of told.manifests) {
    const theirs = report.manifests[label];
    assert.ok(theirs, label);
    assert.equal(title, theirs.title?.replace('\u202e', '\ufffd') ?? null);
    assert.equal(claimGenerator, theirs.claim_generator_info.map(({ name, version }) => `${name} ${version}`).join());
    assert.equal(algorithm?.toLowerCase(), theirs.signature_info.alg.toLowerCase());
    assert.equal(BigInt(`0x${certificates[0]?.serialNumber}`), BigInt(theirs.signature_info.cert_serial_number));
    const acts = theirs.assertions.flatMap(({ data }) => data.actions ?? []);
    assert.deepEqual(
      actions.map(({ action, digitalSourceType }) => [action, digitalSourceType]),
      acts.map(({ action, digitalSourceType = null }) => [action, digitalSourceType]),
    );
    assert.deepEqual(
      actions.map(({ when }) => when),
      acts.map(({ when }) => (when === undefined ? null : new Date(when).toISOString())),
    );
    assert.ok(actions.every(({ when }) => when !== null));
    assert.deepEqual(
      ingredients.map((one) => [one.title, one.relationship, one.manifest]),
      (theirs.ingredients ?? []).map((one) => [one.title, one.relationship, one.active_manifest ?? null]),
    );
  }
});

test('a chain is told certificate by certificate, and whom it leads to; time stamps only when they are believed', async () => {
  const { manifestStore } = await opened();
  const [active, earlier] = credentialsOf(manifestStore, termsOf())?.manifests ?? [];
  assert.ok(active && earlier);
  const certificates = chain.signer.certificateChainDer.map((der) => new X509Certificate(der));
  assert.deepEqual(
    active.chain.map(({ sha256, notAfter }) => [sha256, notAfter]),
    certificates.map((one) => [one.fingerprint256.replaceAll(':', '').toLowerCase(), one.validToDate.toISOString()]),
  );
  assert.equal(active.trustedBy, new X509Certificate(chain.trust.anchorsPem).subject.replaceAll('\n', ', '));
  assert.equal(earlier.trustedBy, null, 'the other maker leads to nobody that is trusted here');
  assert.ok(active.timestamp);
  assert.equal(earlier.timestamp, null);
  const untrusting = termsOf({ trust: { anchorsPem: chain.trust.anchorsPem } });
  assert.equal(credentialsOf(manifestStore, untrusting)?.manifests[0]?.timestamp, null);
});

test('a revoked certificate carries the time of its revocation', async () => {
  const { manifestStore } = await opened();
  const [leaf] = credentialsOf(manifestStore, termsOf())?.manifests[0]?.chain ?? [];
  const revokedAt = new Date('2026-05-01T00:00:00Z');
  const revocations = [{ certificateSha256: leaf?.sha256 ?? '', revokedAt }];
  const again = credentialsOf(manifestStore, termsOf({ revocations }))?.manifests[0];
  assert.deepEqual(
    again?.chain.map((one) => one.revokedAt),
    [revokedAt.toISOString(), ...chain.signer.certificateChainDer.slice(1).map(() => null)],
  );
});

test('the active manifest is told of a store whose earlier ones are blanked out', async () => {
  const { manifestStore } = await opened();
  const whole = credentialsOf(manifestStore, termsOf())?.manifests[0];
  const label = Buffer.from(manifestStore).lastIndexOf('c2ma') - 16;
  const blanked = Uint8Array.from(manifestStore).fill(0, 60, label);
  assert.equal(credentialsOf(blanked, termsOf()), null);
  assert.deepEqual(activeCredentialsOf(blanked, termsOf())?.manifests, [whole]);
});

test('bytes that are no store tell nothing, and nothing throws', async () => {
  const { bytes, manifestStore } = await opened();
  for (const damaged of [new Uint8Array(0), new Uint8Array(200), bytes, manifestStore.subarray(0, -1)]) {
    assert.equal(credentialsOf(damaged, termsOf()), null);
    assert.equal(activeCredentialsOf(damaged, termsOf()), null);
  }
  for (let at = 0; at < manifestStore.length; at += 97) {
    const changed = Uint8Array.from(manifestStore);
    changed[at] = (changed[at] as number) ^ 0x15;
    credentialsOf(changed, termsOf());
    activeCredentialsOf(changed, termsOf());
  }
});

test('a verification tells the credentials of the file', async () => {
  const { bytes, manifestStore } = await opened();
  const { trust } = termsOf();
  const { credentials } = await verifyC2pa({ bytes, format: 'jpeg', trust });
  assert.deepEqual(credentials, credentialsOf(manifestStore, termsOf()));
  assert.equal((await verifyC2pa({ bytes: image, format: 'jpeg', trust })).credentials, null);
});
