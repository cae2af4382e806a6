// Time stamps beside signatures: what they make VALID, and that a wrong one never does, whatever the library says.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, test } from 'node:test';
import { makeAuthority, type TestAuthority } from '../timestamp/authority.fixture.ts';
import { makeChain, type ChainOptions, type TestChain } from './chain.fixture.ts';
import type { Timestamper } from './cose.ts';
import { photographs } from './images.fixture.ts';
import { signRequest } from './requests.fixture.ts';
import { signImage } from './sign.ts';
import { verifyC2pa, type C2paVerification, type VerifyRequest } from './verify.ts';
import { readReport, type TrustAnchors } from './wasm.ts';

const DAY_MS = 86_400_000;
const ago = (days: number): Date => new Date(Date.now() - days * DAY_MS);
let image: Uint8Array;
let authority: TestAuthority;
before(async () => {
  image = (await photographs()).jpeg;
  authority = await makeAuthority();
});

function stamping(
  by: TestAuthority,
  now?: Date,
  change: (digest: Uint8Array) => Uint8Array = (digest) => digest,
): Timestamper {
  return { maxTokenBytes: 1_500, stamp: (digest) => by.stamp(change(digest), now) };
}

const EXPIRED: ChainOptions = { notBefore: ago(80), notAfter: ago(1) };

async function signed(chain: TestChain, timestamper?: Timestamper): Promise<Uint8Array> {
  const request = signRequest(chain, image, 'jpeg');
  return (await signImage(timestamper ? { ...request, timestamper } : request)).bytes;
}

const trusting = ({ trust }: TestChain, by = authority): TrustAnchors => ({
  anchorsPem: trust.anchorsPem,
  timestampAnchorsPem: by.rootPem,
});

async function judged(
  bytes: Uint8Array,
  trust: TrustAnchors,
  more: Partial<VerifyRequest> = {},
): Promise<C2paVerification> {
  return verifyC2pa({ bytes, format: 'jpeg', trust, ...more });
}

const failures = ({ findings }: C2paVerification): string[] =>
  findings.filter(({ severity }) => severity === 'failure').map(({ code }) => code);

test('a stamped picture is VALID and tells its time and who says so; the library agrees', async () => {
  const chain = await makeChain();
  const bytes = await signed(chain, stamping(authority));
  const trust = trusting(chain);
  const result = await judged(bytes, trust);
  assert.deepEqual([result.status, failures(result)], ['VALID', []]);
  const { timestamp, signedAt } = result.manifest ?? {};
  assert.ok(Math.abs(Date.parse(timestamp?.at ?? '') - Date.now()) < 10_000);
  assert.equal(signedAt, timestamp?.at);
  assert.match(timestamp?.authority ?? '', /CN=Time Stamping/);
  const report = (await readReport(bytes, 'jpeg', trust)) ?? '';
  assert.match(report, /timeStamp\.trusted/);
  assert.match(report, /"validation_state": ?"Trusted"/);
});

test('a signature from before its certificate expired stays VALID by its stamp, and only by it', async () => {
  const chain = await makeChain(EXPIRED);
  const stamped = await judged(await signed(chain, stamping(authority, ago(40))), trusting(chain));
  assert.deepEqual([stamped.status, failures(stamped)], ['VALID', []]);
  assert.equal((await judged(await signed(chain), trusting(chain))).status, 'INVALID');
  const late = await judged(await signed(chain, stamping(authority)), trusting(chain));
  assert.equal(late.status, 'INVALID', 'stamped after the end of the certificate');
});

test('a leaf that was revoked later is VALID by its stamp; revoked before it, or without a stamp, INVALID', async () => {
  const chain = await makeChain({ notBefore: ago(50), notAfter: ago(-30) });
  const [leaf = new Uint8Array()] = chain.signer.certificateChainDer;
  const certificateSha256 = createHash('sha256').update(leaf).digest('hex');
  const bytes = await signed(chain, stamping(authority, ago(20)));
  const unstamped = await signed(chain);
  const revokedAt = (days: number): Partial<VerifyRequest> => ({
    revocations: [{ certificateSha256, revokedAt: ago(days) }],
  });
  assert.equal((await judged(bytes, trusting(chain), revokedAt(10))).status, 'VALID');
  const after = await judged(bytes, trusting(chain), revokedAt(30));
  assert.deepEqual([after.status, failures(after)], ['INVALID', ['signingCredential.ocsp.revoked']]);
  assert.equal((await judged(unstamped, trusting(chain), revokedAt(10))).status, 'INVALID');
});

test('a stamp under a revoked certificate proves no time: whoever holds its key can write any', async () => {
  const chain = await makeChain();
  const bytes = await signed(chain, stamping(authority));
  for (const der of [authority.rootDer, ...authority.authority.certificatesDer]) {
    const certificateSha256 = createHash('sha256').update(der).digest('hex');
    const revocations = [{ certificateSha256, revokedAt: ago(-1) }];
    const result = await judged(bytes, trusting(chain), { revocations });
    assert.deepEqual([result.status, failures(result)], ['INVALID', ['timeStamp.untrusted']]);
  }
});

const flip = (digest: Uint8Array): Uint8Array => digest.map((byte, at) => (at === 0 ? byte ^ 1 : byte));

test('a stamp of something else is never VALID', async () => {
  for (const options of [{}, EXPIRED]) {
    const chain = await makeChain(options);
    const result = await judged(await signed(chain, stamping(authority, ago(0.5), flip)), trusting(chain));
    assert.equal(result.status, 'INVALID');
    assert.ok(failures(result).includes('timeStamp.mismatch'), failures(result).join());
    assert.equal(result.manifest?.signedAt, null);
  }
});

test('a stamp of a stranger, of a wrong purpose, or of an expired authority is never VALID', async () => {
  const chain = await makeChain();
  const stranger = await judged(await signed(chain, stamping(await makeAuthority())), trusting(chain));
  assert.deepEqual([stranger.status, failures(stranger)], ['INVALID', ['timeStamp.untrusted']]);
  for (const options of [{ purposes: ['1.3.6.1.4.1.62558.2.1'] }, { critical: false }, { notAfter: ago(1) }]) {
    const wrong = await makeAuthority(options);
    const result = await judged(await signed(chain, stamping(wrong)), trusting(chain, wrong));
    assert.equal(result.status, 'INVALID', JSON.stringify(options));
    assert.ok(failures(result).some((code) => code.startsWith('timeStamp.')));
  }
});

test('the stamp of one picture beside the signature of another is never VALID', async () => {
  const chain = await makeChain();
  let kept: Uint8Array | undefined;
  const keeping: Timestamper = {
    maxTokenBytes: 1_500,
    stamp: async (digest) => (kept ??= await authority.stamp(digest)),
  };
  assert.equal((await judged(await signed(chain, keeping), trusting(chain))).status, 'VALID');
  assert.equal((await judged(await signed(chain, keeping), trusting(chain))).status, 'INVALID');
});

test('an anchor for time stamps is none for signers, nor the other way round', async () => {
  const [chain, other] = [await makeChain(), await makeChain({ name: 'Other' })];
  const bytes = await signed(chain, stamping(authority));
  const turned = {
    anchorsPem: other.trust.anchorsPem,
    timestampAnchorsPem: `${authority.rootPem}\n${chain.trust.anchorsPem}`,
  };
  const signer = await judged(bytes, turned);
  assert.deepEqual([signer.status, failures(signer)], ['INVALID', ['signingCredential.untrusted']]);
  const both = {
    anchorsPem: `${authority.rootPem}\n${chain.trust.anchorsPem}`,
    timestampAnchorsPem: other.trust.anchorsPem,
  };
  const time = await judged(bytes, both);
  assert.deepEqual([time.status, failures(time)], ['INVALID', ['timeStamp.untrusted']]);
});

test('an authority that fails leaves no picture', async () => {
  const chain = await makeChain();
  const timestamper = { maxTokenBytes: 1_500, stamp: () => Promise.reject(new Error('no answer')) };
  await assert.rejects(signed(chain, timestamper), /no answer/);
});
