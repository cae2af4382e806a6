// The contract with the C2PA library: an upgrade that breaks a shim, a setting or a promise fails here first.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { before, test } from 'node:test';
import type { ImageFormat } from '../image.ts';
import { makeChain, type TestChain } from './chain.fixture.ts';
import { photographs } from './images.fixture.ts';
import { signRequest } from './requests.fixture.ts';
import { signImage } from './sign.ts';
import { C2paEngineError, layOutManifest, memoryBytes, readReport, SyncBlob } from './wasm.ts';

let images: Readonly<Record<ImageFormat, Uint8Array>>;
let chain: TestChain;
const DEFINITION = { claim_version: 2, claim_generator_info: [{ name: 'test' }], assertions: [] };

before(async () => {
  images = await photographs();
  chain = await makeChain();
});

test('the version of the library is the one that was examined', () => {
  const manifest: unknown = createRequire(import.meta.url)('@contentauth/c2pa-wasm/package.json');
  assert.deepEqual(manifest instanceof Object && 'version' in manifest && manifest.version, '0.13.3');
});

test('what the library asks of a browser is what the shims give', () => {
  const glue = readFileSync(createRequire(import.meta.url).resolve('@contentauth/c2pa-wasm'), 'utf8');
  const asked = new Set([...glue.matchAll(/const ret = new (\w+)\(|getObject|arg0\.(readAsArrayBuffer|size|slice)\b/g)]
    .map((match) => match[1] ?? match[2])); // prettier-ignore
  assert.ok(asked.has('FileReaderSync') && asked.has('readAsArrayBuffer') && asked.has('size') && asked.has('slice'));
  assert.doesNotMatch(glue, /instanceof (Blob|File|FileReaderSync)\b/);
});

test('a SyncBlob gives out its bytes in slices', () => {
  const blob = new SyncBlob(Uint8Array.of(1, 2, 3, 4), 'image/png');
  assert.equal(blob.size, 4);
  assert.deepEqual(blob.slice(1, 3).source, Uint8Array.of(2, 3));
});

test('the signature box holds exactly the reserved bytes, and no assertion holds pixels', async () => {
  const { store } = await layOutManifest(images.jpeg, 'jpeg', DEFINITION, 777, null, chain.trust);
  const text = Buffer.from(store).toString('latin1');
  assert.ok(text.includes('\0'.repeat(777)));
  assert.doesNotMatch(text, /thumbnail|image\/jpeg;|\xff\xd8\xff/);
  assert.ok(store.length < 3000, `${store.length} bytes`);
});

test('no call ever uses the network', async () => {
  const original = globalThis.fetch;
  let calls = 0;
  globalThis.fetch = () => {
    calls++;
    return Promise.reject(new Error('network'));
  };
  try {
    const xmp = '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF ' +
      'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" ' +
      'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="https://example.test/m.c2pa"/></rdf:RDF>' +
      '</x:xmpmeta><?xpacket end="w"?>'; // prettier-ignore
    const body = Buffer.concat([Buffer.from('http://ns.adobe.com/xap/1.0/\0'), Buffer.from(xmp)]);
    const head = Buffer.from([0xff, 0xe1, (body.length + 2) >> 8, (body.length + 2) & 0xff]);
    const remote = Buffer.concat([images.jpeg.subarray(0, 2), head, body, images.jpeg.subarray(2)]);
    await readReport(remote, 'jpeg', chain.trust).catch((error: unknown) =>
      assert.ok(error instanceof C2paEngineError),
    );
    const signed = await signImage(signRequest(chain, images.jpeg, 'jpeg'));
    await readReport(signed.bytes, 'jpeg', chain.trust);
  } finally {
    globalThis.fetch = original;
  }
  assert.equal(calls, 0);
});

test('a file without a store is told apart from one with a broken store', async () => {
  assert.equal(await readReport(images.png, 'png', chain.trust), null);
  const { bytes, manifestStore } = await signImage(signRequest(chain, images.png, 'png'));
  const broken = Buffer.from(bytes);
  broken.fill(0xff, broken.indexOf('c2pa.claim'), broken.indexOf('c2pa.claim') + 600);
  assert.ok(manifestStore.length > 600);
  await assert.rejects(readReport(broken, 'png', chain.trust), C2paEngineError);
});

test('a library that trapped is replaced for the next call', async () => {
  // a length that cannot be allocated makes it trap, as a fault of its own would
  const endless = Object.defineProperty(new Uint8Array(8), 'length', { value: 2 ** 31 });
  await assert.rejects(
    readReport(endless, 'png', chain.trust),
    (error) => error instanceof C2paEngineError && error.trapped,
  );
  assert.equal(memoryBytes(), 0);
  const signed = await signImage(signRequest(chain, images.png, 'png'));
  assert.match((await readReport(signed.bytes, 'png', chain.trust)) ?? '', /"Trusted"/);
});

test('the memory of the library can be watched', () => {
  assert.ok(memoryBytes() > 1_000_000);
});
