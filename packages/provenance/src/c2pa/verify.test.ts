// Credentials judged: what must be VALID, and everything that must not.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, test } from 'node:test';
import type { ImageFormat } from '../image.ts';
import { CborTag, decodeCbor, encodeCbor, type CborValue } from './cbor.ts';
import { makeChain, type TestChain } from './chain.fixture.ts';
import { signClaim } from './cose.ts';
import { extractManifest, insertManifest } from './embed.ts';
import { photographs } from './images.fixture.ts';
import { activeManifest, payloadOf } from './jumbf.ts';
import { PHOTO_ID, signRequest } from './requests.fixture.ts';
import { signImage, type SignRequest } from './sign.ts';
import { c2paEngineFailed, verifyC2pa, type C2paVerification } from './verify.ts';
import { layOutManifest } from './wasm.ts';

const FORMATS: readonly ImageFormat[] = ['jpeg', 'png', 'webp'];
const DAY_MS = 86_400_000;
let images: Readonly<Record<ImageFormat, Uint8Array>>;
let chain: TestChain;

before(async () => {
  images = await photographs();
  chain = await makeChain();
});

const codesOf = (result: C2paVerification): string[] =>
  result.findings.filter(({ severity }) => severity === 'failure').map(({ code }) => code);

async function signed(format: ImageFormat, extra: Partial<SignRequest> = {}): Promise<Uint8Array<ArrayBuffer>> {
  return (await signImage({ ...signRequest(chain, images[format], format), ...extra })).bytes;
}

for (const format of FORMATS) {
  test(`a signed ${format} is VALID and says what was signed`, async () => {
    const before = chain.signatures();
    const request = {
      ...signRequest(chain, images[format], format),
      title: 'Sunset "at" sea',
      author: 'Ana María',
      fingerprint: { alg: 'org.lumatrace.fingerprint.1', value: new Uint8Array(32).fill(7) },
    };
    const { bytes, manifestStore } = await signImage(request);
    assert.equal(chain.signatures() - before, 1);
    const result = await verifyC2pa({ bytes, format, trust: chain.trust });
    assert.equal(result.status, 'VALID', JSON.stringify(result.findings));
    assert.deepEqual(codesOf(result), []);
    assert.ok(result.manifest);
    assert.equal(result.manifest.photoId, PHOTO_ID);
    assert.equal(result.manifest.title, request.title);
    assert.equal(result.manifest.claimGenerator, 'LumaTrace 0.1.0');
    assert.equal(result.manifest.signer?.name, 'C=ES, O=Test, CN=Test Signer');
    assert.deepEqual(result.manifest.softBindings, [request.softBinding, request.fingerprint]);
    assert.deepEqual(result.manifest.actions, ['c2pa.opened', 'c2pa.watermarked.bound']);
    assert.equal(result.manifest.signedAt, null);
    assert.equal(result.manifest.manifestStoreSha256, createHash('sha256').update(manifestStore).digest('hex'));
  });

  test(`an unsigned ${format} is MISSING`, async () => {
    const result = await verifyC2pa({ bytes: images[format], format, trust: chain.trust });
    assert.equal(result.status, 'MISSING');
    assert.equal(result.manifest, null);
  });

  test(`a ${format} with one changed byte of pixels is TAMPERED`, async () => {
    const bytes = await signed(format);
    const { start, end } = extractManifest(bytes, format) ?? { start: 0, end: 0 };
    const at = end < bytes.length ? end + ((bytes.length - end) >> 1) : start >> 1;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const result = await verifyC2pa({ bytes, format, trust: chain.trust });
    assert.equal(result.status, 'TAMPERED');
    assert.ok(codesOf(result).includes('assertion.dataHash.mismatch'), codesOf(result).join());
  });

  test(`the manifest of one ${format} on another picture is TAMPERED`, async () => {
    const { manifestStore } = await signImage(signRequest(chain, images[format], format));
    const other = (await photographs(304, 272))[format];
    const bytes = insertManifest(other, format, manifestStore);
    assert.equal((await verifyC2pa({ bytes, format, trust: chain.trust })).status, 'TAMPERED');
  });

  test(`a ${format} that is cut behind its manifest is TAMPERED`, async () => {
    const bytes = await signed(format);
    const result = await verifyC2pa({ bytes: bytes.subarray(0, bytes.length - 40), format, trust: chain.trust });
    assert.equal(result.status, 'TAMPERED');
  });

  test(`bytes behind a signed ${format} make it TAMPERED`, async () => {
    const bytes = Buffer.concat([await signed(format), Buffer.from('more')]);
    assert.equal((await verifyC2pa({ bytes, format, trust: chain.trust })).status, 'TAMPERED');
  });

  test(`no changed bit around the manifest of ${format} leaves it VALID or MISSING`, async () => {
    const bytes = await signed(format);
    const { start, end } = extractManifest(bytes, format) ?? { start: 0, end: 0 };
    const seen = new Map<string, number>();
    // all of the container's and the first boxes' headers, then a step that is coprime to every box size
    for (let at = start; at < end; at += at < start + 160 ? 1 : 13) {
      const altered = Uint8Array.from(bytes);
      altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
      const { status } = await verifyC2pa({ bytes: altered, format, trust: chain.trust });
      assert.ok(status === 'TAMPERED' || status === 'INVALID', `byte ${at - start} of the manifest: ${status}`);
      seen.set(status, (seen.get(status) ?? 0) + 1);
    }
    assert.ok((seen.get('TAMPERED') ?? 0) > 200);
  });
}

test('every algorithm of the door is VALID', async () => {
  for (const alg of ['ps256', 'ed25519'] as const) {
    const other = await makeChain({ alg });
    const { bytes } = await signImage(signRequest(other, images.jpeg, 'jpeg'));
    assert.equal((await verifyC2pa({ bytes, format: 'jpeg', trust: other.trust })).status, 'VALID', alg);
  }
});

test('without any trust anchor everybody is a stranger, and what is said can still be read', async () => {
  const seen = await verifyC2pa({ bytes: await signed('jpeg'), format: 'jpeg', trust: { anchorsPem: '' } });
  assert.equal(seen.status, 'INVALID');
  assert.ok(codesOf(seen).includes('signingCredential.untrusted'), codesOf(seen).join());
  assert.equal(seen.manifest?.photoId, PHOTO_ID);
});

test('a signer that nobody here trusts is INVALID', async () => {
  const stranger = await makeChain({ name: 'Stranger' });
  const { bytes } = await signImage(signRequest(stranger, images.jpeg, 'jpeg'));
  const result = await verifyC2pa({ bytes, format: 'jpeg', trust: chain.trust });
  assert.equal(result.status, 'INVALID');
  assert.ok(codesOf(result).includes('signingCredential.untrusted'));
});

test('a chain of the same names from another root is INVALID', async () => {
  const impostor = await makeChain();
  const { bytes } = await signImage(signRequest(impostor, images.jpeg, 'jpeg'));
  assert.equal((await verifyC2pa({ bytes, format: 'jpeg', trust: chain.trust })).status, 'INVALID');
});

test('an expired certificate without a time stamp is INVALID', async () => {
  const now = Date.now();
  const old = await makeChain({ notBefore: new Date(now - 100 * DAY_MS), notAfter: new Date(now - 10 * DAY_MS) });
  const { bytes } = await signImage(signRequest(old, images.jpeg, 'jpeg'));
  const result = await verifyC2pa({ bytes, format: 'jpeg', trust: old.trust });
  assert.equal(result.status, 'INVALID');
  assert.ok(
    codesOf(result).some((code) => /expired|outsideValidity/.test(code)),
    codesOf(result).join(),
  );
});

test('a certificate that is not valid yet is INVALID', async () => {
  const now = Date.now();
  const early = await makeChain({ notBefore: new Date(now + 10 * DAY_MS), notAfter: new Date(now + 20 * DAY_MS) });
  const { bytes } = await signImage(signRequest(early, images.jpeg, 'jpeg'));
  assert.equal((await verifyC2pa({ bytes, format: 'jpeg', trust: early.trust })).status, 'INVALID');
});

test('a certificate for another purpose is INVALID', async () => {
  for (const eku of ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.8']) {
    const web = await makeChain({ eku });
    const { bytes } = await signImage(signRequest(web, images.jpeg, 'jpeg'));
    assert.equal((await verifyC2pa({ bytes, format: 'jpeg', trust: web.trust })).status, 'INVALID', eku);
  }
});

test('a revoked leaf and a revoked issuer are INVALID', async () => {
  const bytes = await signed('jpeg');
  for (const der of chain.signer.certificateChainDer) {
    const certificateSha256 = createHash('sha256').update(der).digest('hex');
    const revocations = [{ certificateSha256, revokedAt: new Date(Date.now() + DAY_MS) }];
    const result = await verifyC2pa({ bytes, format: 'jpeg', trust: chain.trust, revocations });
    assert.equal(result.status, 'INVALID');
    assert.deepEqual(codesOf(result), ['signingCredential.ocsp.revoked']);
  }
});

test('the revocation of another certificate changes nothing', async () => {
  const revocations = [{ certificateSha256: '00'.repeat(32), revokedAt: new Date(0) }];
  const result = await verifyC2pa({ bytes: await signed('jpeg'), format: 'jpeg', trust: chain.trust, revocations });
  assert.equal(result.status, 'VALID');
});

test('a picture that was made here says so when the caller says so', async () => {
  const bytes = await signed('jpeg', { digitalSourceType: 'trainedAlgorithmicMedia' });
  const result = await verifyC2pa({ bytes, format: 'jpeg', trust: chain.trust });
  assert.equal(result.status, 'VALID');
  assert.deepEqual(result.manifest?.actions, ['c2pa.created', 'c2pa.watermarked.bound']);
  assert.match(result.manifest?.digitalSourceType ?? '', /\/trainedAlgorithmicMedia$/);
});

test("somebody else's credentials stay as the parent, trusted or not", async () => {
  const stranger = await makeChain({ name: 'Stranger' });
  for (const [parentChain, format] of [
    [stranger, 'png'],
    [chain, 'jpeg'],
  ] as const) {
    // prettier-ignore
    const parent = await signImage(signRequest(parentChain, images[format], format));
    const bytes = await signed('jpeg', { source: { bytes: parent.bytes, format } });
    const result = await verifyC2pa({ bytes, format: 'jpeg', trust: chain.trust });
    assert.equal(result.status, 'VALID', JSON.stringify(result.findings));
    assert.deepEqual(result.manifest?.actions, ['c2pa.opened', 'c2pa.watermarked.bound']);
    const label = Buffer.from(parent.manifestStore)
      .toString('latin1')
      .match(/urn:c2pa:[0-9a-f-]{36}/)?.[0];
    assert.ok(label && Buffer.from(bytes).includes(label), 'the manifest of the parent is in the new store');
  }
});

test('a parent whose own picture was changed stays a parent, and its damage is on record', async () => {
  const parent = await signImage(signRequest(chain, images.jpeg, 'jpeg'));
  const at = parent.bytes.length - 100;
  parent.bytes[at] = (parent.bytes[at] ?? 0) ^ 1;
  const bytes = await signed('jpeg', { source: { bytes: parent.bytes, format: 'jpeg' } });
  const result = await verifyC2pa({ bytes, format: 'jpeg', trust: chain.trust });
  assert.equal(result.status, 'VALID', JSON.stringify(result.findings));
  assert.ok(Buffer.from(bytes).includes('assertion.dataHash.mismatch'));
});

test('a manifest that lies elsewhere is TAMPERED and not fetched', async () => {
  const xmp = '<rdf:Description dcterms:provenance="https://example.test/m.c2pa"/>';
  const bytes = Buffer.concat([images.jpeg, Buffer.from(xmp)]);
  const result = await verifyC2pa({ bytes, format: 'jpeg', trust: chain.trust });
  assert.equal(result.status, 'TAMPERED');
  assert.deepEqual(codesOf(result), ['org.lumatrace.c2pa.remoteOnly']);
});

test('a crash of the validator is INVALID', () => {
  const result = c2paEngineFailed('unreachable\u0000\u202eexecuted');
  assert.equal(result.status, 'INVALID');
  assert.equal(result.findings[0]?.evidence?.['reason'], 'unreachable\ufffd\ufffdexecuted');
});

test('fields beside the signature that nobody signed are INVALID', async () => {
  const definition = { claim_version: 2, claim_generator_info: [{ name: 'test' }], assertions: [] };
  const { store } = await layOutManifest(images.jpeg, 'jpeg', definition, 3_000, null, chain.trust);
  const { signature } = activeManifest(store);
  const signed = decodeCbor(await signClaim(chain.signer, payloadOf(store, activeManifest(store).claim)));
  assert.ok(signed instanceof CborTag && Array.isArray(signed.value));
  const [header, , , value] = signed.value as CborValue[];
  const room = signature.end - signature.payloadStart;
  const withNote = (length: number): Uint8Array =>
    encodeCbor(new CborTag(18, [header, new Map([['note', new Uint8Array(length)]]), null, value]));
  const sealed = Uint8Array.from(store);
  sealed.set(withNote(room - withNote(1_000).length + 1_000), signature.payloadStart);
  const bytes = insertManifest(images.jpeg, 'jpeg', sealed);
  const result = await verifyC2pa({ bytes, format: 'jpeg', trust: chain.trust });
  assert.equal(result.status, 'INVALID');
  assert.ok(codesOf(result).includes('org.lumatrace.c2pa.unvouched'));
});

test('text out of a manifest is cut and cleaned', async () => {
  const title = `a\u202eb\u0007${'x'.repeat(400)}`;
  const result = await verifyC2pa({ bytes: await signed('jpeg', { title }), format: 'jpeg', trust: chain.trust });
  assert.equal(result.status, 'VALID');
  assert.equal(result.manifest?.title?.length, 300);
  assert.ok(result.manifest.title.startsWith('a\ufffdb\ufffdx'));
});
