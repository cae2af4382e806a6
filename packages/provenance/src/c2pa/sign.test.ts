// Signing refuses what it cannot say truthfully, and another implementation reads what it wrote.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { JPEG, PNG, type Asset } from '@trustnxt/c2pa-ts/asset';
import { SuperBox } from '@trustnxt/c2pa-ts/jumbf';
import { ManifestStore } from '@trustnxt/c2pa-ts/manifest';
import type { ImageFormat } from '../image.ts';
import { DIGITAL_SOURCE_TYPES, isDigitalSourceType, isSoftBindingAlgorithm } from './assertions.ts';
import { makeChain, type TestChain } from './chain.fixture.ts';
import { extractManifest } from './embed.ts';
import { photographs } from './images.fixture.ts';
import { signRequest } from './requests.fixture.ts';
import { signImage, SourceCredentialsError, type SignRequest } from './sign.ts';

let images: Readonly<Record<ImageFormat, Uint8Array>>;
let chain: TestChain;

before(async () => {
  images = await photographs();
  chain = await makeChain();
});

// c2pa-ts follows version 2.1 of the specification, which did not have the purpose of claim signing
const DOCUMENT_SIGNING = '1.3.6.1.5.5.7.3.36';
const ASSETS: readonly (readonly [ImageFormat, (bytes: Uint8Array) => Asset])[] = [
  ['jpeg', (bytes) => new JPEG(bytes)],
  ['png', (bytes) => new PNG(bytes)],
];

for (const [format, open] of ASSETS) {
  for (const alg of ['es256', 'ps256', 'ed25519'] as const) {
    test(`c2pa-ts finds nothing wrong in a ${format} signed with ${alg}`, async () => {
      const { signer } = await makeChain({ alg, eku: DOCUMENT_SIGNING });
      const { bytes } = await signImage({ ...signRequest(chain, images[format], format), signer });
      assert.deepEqual(await failuresOf(open(bytes)), []);
      const at = bytes.length - 100;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      assert.deepEqual(await failuresOf(open(bytes)), ['assertion.dataHash.mismatch']);
    });
  }
}

async function failuresOf(asset: Asset): Promise<string[]> {
  const jumbf = asset.getManifestJUMBF();
  assert.ok(jumbf);
  const result = await ManifestStore.read(SuperBox.fromBuffer(new Uint8Array(jumbf))).validate(asset);
  return result.statusEntries.filter(({ success }) => !success).map(({ code }) => code);
}

test('the soft binding is a byte string, and its store stays small', async () => {
  const { manifestStore } = await signImage(signRequest(chain, images.jpeg, 'jpeg'));
  const value = Buffer.concat([Buffer.from('evalueH'), Buffer.of(1, 2, 3, 4, 0, 0xff, 0x80, 8)]); // text(5), bytes(8)
  assert.ok(Buffer.from(manifestStore).includes(value));
  assert.ok(manifestStore.length < 3_500, `${manifestStore.length} bytes`);
});

const UNSAYABLE: readonly (readonly [string, Partial<SignRequest>])[] = [
  ['a photo id that is no UUID', { photoId: 'photo-1' }],
  ["somebody else's algorithm", { softBinding: { alg: 'es.lumatrace', value: Uint8Array.of(1) } }],
  ['an algorithm that is no reverse domain', { softBinding: { alg: 'watermark', value: Uint8Array.of(1) } }],
  ['an empty soft binding', { softBinding: { alg: 'org.example.mark', value: new Uint8Array(0) } }],
  ['an endless title', { title: 'x'.repeat(501) }],
];

for (const [what, change] of UNSAYABLE)
  test(`${what} is refused before anything is signed`, async () => {
    const before = chain.signatures();
    await assert.rejects(signImage({ ...signRequest(chain, images.jpeg, 'jpeg'), ...change }), TypeError);
    assert.equal(chain.signatures(), before);
  });

test('a source with damaged credentials is refused, not stripped', async () => {
  const { bytes } = await signImage(signRequest(chain, images.png, 'png'));
  const { start, end } = extractManifest(bytes, 'png') ?? { start: 0, end: 0 };
  for (const at of [end - 1, start + 8 + 38]) {
    const damaged = Uint8Array.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 0xff;
    const source = { bytes: damaged, format: 'png' } as const;
    await assert.rejects(signImage({ ...signRequest(chain, images.jpeg, 'jpeg'), source }), SourceCredentialsError);
  }
});

test('a signer that fails leaves its error', async () => {
  const signer = { ...chain.signer, sign: () => Promise.reject(new Error('the key is away')) };
  await assert.rejects(signImage({ ...signRequest(chain, images.jpeg, 'jpeg'), signer }), /the key is away/);
});

test('a signature of a wrong length is refused', async () => {
  const signer = { ...chain.signer, sign: async () => new Uint8Array(70) };
  await assert.rejects(signImage({ ...signRequest(chain, images.jpeg, 'jpeg'), signer }), { code: 'COSE_INVALID' });
});

test('hostile text in every field stays text', async () => {
  for (const text of [
    '</script><img src=x onerror=alert(1)>',
    '${jndi:ldap://x}',
    '\u0000\ud800',
    '"\\',
    'a'.repeat(500),
  ])
    assert.ok(await signImage({ ...signRequest(chain, images.jpeg, 'jpeg'), title: text, author: text }));
});

test('names of algorithms and source types are told apart', () => {
  assert.equal(isSoftBindingAlgorithm('org.lumatrace.watermark.1'), true);
  for (const name of ['es.lumatrace', 'es.lumatrace.x', '', 'a', 'a..b', 'a.b c', `a.${'b'.repeat(300)}`])
    assert.equal(isSoftBindingAlgorithm(name), false, name);
  assert.equal(isDigitalSourceType('trainedAlgorithmicMedia'), true);
  for (const name of ['toString', '__proto__', 'http://example.test/x', ''])
    assert.equal(isDigitalSourceType(name), false, name);
  assert.ok(Object.values(DIGITAL_SOURCE_TYPES).every((uri) => uri.startsWith('http://cv.iptc.org/')));
});
