// Containers: what we insert is what the library inserts, and what is left of a broken store is still seen.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { IMAGE_LIMITS, type ImageFormat } from '../image.ts';
import { makeChain, type TestChain } from './chain.fixture.ts';
import { EmbedError, extractManifest, hasC2paMarker, insertManifest } from './embed.ts';
import { photographs } from './images.fixture.ts';
import { signRequest } from './requests.fixture.ts';
import { signImage } from './sign.ts';
import { layOutManifest } from './wasm.ts';

const FORMATS: readonly ImageFormat[] = ['jpeg', 'png', 'webp'];
let images: Readonly<Record<ImageFormat, Uint8Array>>;
let chain: TestChain;

before(async () => {
  images = await photographs();
  chain = await makeChain();
});

// sizes around the library's limit of one JPEG segment, odd ones for the padding of WebP
const STORE_TEXT = [0, 1, 62_000, 200_001] as const;

for (const format of FORMATS) {
  for (const textBytes of STORE_TEXT) {
    test(`a store with ${textBytes} bytes of text goes into ${format} byte for byte as the library puts it`, async () => {
      const definition = {
        claim_version: 2,
        claim_generator_info: [{ name: 'test' }],
        assertions: [{ label: 'org.lumatrace.text', data: { text: 'x'.repeat(textBytes) } }],
      };
      const { store, asset } = await layOutManifest(images[format], format, definition, 500, null, chain.trust);
      const inserted = insertManifest(images[format], format, store);
      assert.deepEqual(Buffer.from(inserted).equals(asset), true);
      const embedded = extractManifest(inserted, format);
      assert.ok(embedded);
      assert.equal(Buffer.from(embedded.store).equals(store), true);
    });
  }

  test(`an unsigned ${format} has no marker and no store`, () => {
    assert.equal(hasC2paMarker(images[format], format), false);
    assert.equal(extractManifest(images[format], format), null);
  });

  test(`a second store is not put into ${format}`, async () => {
    const signed = await signImage(signRequest(chain, images[format], format));
    assert.throws(() => insertManifest(signed.bytes, format, signed.manifestStore), EmbedError);
  });

  test(`the store put back into the unsigned ${format} gives the signed file again`, async () => {
    const signed = await signImage(signRequest(chain, images[format], format));
    const again = insertManifest(images[format], format, signed.manifestStore);
    assert.equal(Buffer.from(again).equals(signed.bytes), true);
  });

  test(`a store cut short in ${format} still counts as a marker`, async () => {
    const { bytes } = await signImage(signRequest(chain, images[format], format));
    const embedded = extractManifest(bytes, format);
    assert.ok(embedded);
    for (const keep of [60, 400, 1500]) {
      const cut = Buffer.concat([bytes.subarray(0, embedded.start + keep), bytes.subarray(embedded.end)]);
      assert.equal(hasC2paMarker(cut, format), true, `${keep} bytes kept`);
    }
  });

  test(`a store hidden behind the end of ${format} counts as a marker`, async () => {
    const { manifestStore } = await signImage(signRequest(chain, images[format], format));
    assert.equal(hasC2paMarker(Buffer.concat([images[format], manifestStore]), format), true);
  });

  test(`a reference to a manifest elsewhere counts as a marker in ${format}`, () => {
    const xmp = '<rdf:Description dcterms:provenance="https://example.test/manifest.c2pa"/>';
    assert.equal(hasC2paMarker(Buffer.concat([images[format], Buffer.from(xmp)]), format), true);
  });
}

test('a store of a wrong size is the mistake of the caller', () => {
  assert.throws(() => insertManifest(images.jpeg, 'jpeg', new Uint8Array(8)), TypeError);
  assert.throws(() => insertManifest(images.jpeg, 'jpeg', new Uint8Array(IMAGE_LIMITS.maxBytes)), TypeError);
});

test('APP11 segments out of order are refused', async () => {
  const { bytes } = await signImage(signRequest(chain, images.jpeg, 'jpeg'));
  const start = extractManifest(bytes, 'jpeg')?.start ?? 0;
  const altered = Uint8Array.from(bytes);
  altered[start + 11] = 2; // the low byte of Z
  assert.throws(() => extractManifest(altered, 'jpeg'), EmbedError);
});

test('a wrong check sum on caBX is refused', async () => {
  const { bytes } = await signImage(signRequest(chain, images.png, 'png'));
  const end = extractManifest(bytes, 'png')?.end ?? 0;
  const altered = Uint8Array.from(bytes);
  altered[end - 1] = (altered[end - 1] ?? 0) ^ 1;
  assert.throws(() => extractManifest(altered, 'png'), EmbedError);
});

test('a padding byte of WebP that is not zero is refused', async () => {
  const definition = { claim_version: 2, claim_generator_info: [{ name: 'test' }], assertions: [] };
  for (const reserve of [500, 501]) {
    const { store } = await layOutManifest(images.webp, 'webp', definition, reserve, null, chain.trust);
    if (store.length % 2 === 0) continue;
    const altered = insertManifest(images.webp, 'webp', store);
    altered[altered.length - 1] = 1;
    assert.throws(() => extractManifest(altered, 'webp'), EmbedError);
    return;
  }
  assert.fail('Expected one store of odd length');
});

test('two stores in one file are refused', async () => {
  const { bytes } = await signImage(signRequest(chain, images.png, 'png'));
  const embedded = extractManifest(bytes, 'png');
  assert.ok(embedded);
  const { start, end } = embedded;
  const twice = Buffer.concat([bytes.subarray(0, end), bytes.subarray(start, end), bytes.subarray(end)]);
  assert.throws(() => extractManifest(twice, 'png'), EmbedError);
});
