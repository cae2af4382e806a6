// JUMBF read strictly: each rule has a store that breaks it, made from a good one.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { makeChain } from './chain.fixture.ts';
import { photographs } from './images.fixture.ts';
import { activeManifest, JumbfError, manifestsOf, parseJumbf } from './jumbf.ts';
import { signRequest } from './requests.fixture.ts';
import { signImage } from './sign.ts';

let store: Uint8Array;

before(async () => {
  const chain = await makeChain();
  const { jpeg } = await photographs();
  const parent = await signImage(signRequest(chain, jpeg, 'jpeg'));
  const source = { bytes: parent.bytes, format: 'jpeg' } as const;
  store = (await signImage({ ...signRequest(chain, jpeg, 'jpeg'), source })).manifestStore;
});

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const at = (needle: string, from = 0): number => text(store).indexOf(needle, from);

/** The store with bytes replaced, and the lengths of the superboxes around them kept. */
function altered(offset: number, ...bytes: number[]): Uint8Array {
  assert.ok(offset > 0);
  const copy = Uint8Array.from(store);
  copy.set(bytes, offset);
  return copy;
}

test('a store with a parent reads as two manifests, the active one last', () => {
  const manifests = manifestsOf(parseJumbf(store));
  assert.equal(manifests.length, 2);
  assert.equal(activeManifest(store).label, manifests[1]?.label);
  assert.deepEqual(
    activeManifest(store).assertions.map(({ label }) => label),
    ['c2pa.ingredient.v3', 'c2pa.actions.v2', 'c2pa.soft-binding', 'org.lumatrace.photo', 'c2pa.hash.data'],
  );
});

const LABEL = 'c2pa.assertions\0';
const BROKEN: readonly (readonly [string, () => Uint8Array])[] = [
  ['nothing', () => new Uint8Array(0)],
  ['a store that is cut', () => store.subarray(0, -1)],
  ['bytes behind the store', () => Buffer.concat([store, Buffer.of(0)])],
  ['a store of another label', () => altered(at('c2pa\0'), 0x43)],
  ['a length of zero, "to the end"', () => altered(8, 0, 0, 0, 0)],
  ['a 64-bit length', () => altered(11, 1)],
  ['a length beyond the parent', () => altered(8, 0x7f)],
  ['a length shorter than its header', () => altered(8, 0, 0, 0, 7)],
  ['an unknown type of box where a superbox belongs', () => altered(4, 0x6a, 0x75, 0x6d, 0x78)],
  ['toggles that are not known', () => altered(at(LABEL) - 1, 0x07)],
  ['a label that is announced as absent', () => altered(at(LABEL) - 1, 0x01)],
  ['a label with a control character', () => altered(at(LABEL), 0x07)],
  ['a label with a slash', () => altered(at(LABEL) + 4, 0x2f)],
  ['a label that is not UTF-8', () => altered(at(LABEL), 0xff)],
  ['the assertion store of the parent under another name', () => altered(at(LABEL), 0x43)],
  [
    'the assertion store of the active manifest under another name',
    () => altered(text(store).lastIndexOf(LABEL), 0x43),
  ],
  ['another type on the assertion store', () => altered(at(LABEL) - 17, 0x78)],
  ['a salt of another type', () => altered(at('c2sh') + 3, 0x78)],
];

for (const [what, make] of BROKEN) {
  test(`${what} is refused`, () => {
    assert.throws(() => activeManifest(make()), JumbfError);
  });
}

const box = (type: string, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
};
const described = (letters: string, label: string): Buffer =>
  box(
    'jumd',
    Buffer.from(letters, 'latin1'),
    Buffer.from('00110010800000aa00389b71', 'hex'),
    Buffer.of(3),
    Buffer.from(`${label}\0`),
  );

test('two assertions of one label are refused', () => {
  const twin = box('jumb', described('cbor', 'twin'), box('cbor', Buffer.of(0xa0)));
  assert.throws(() => parseJumbf(box('jumb', described('c2pa', 'c2pa'), twin, twin)), /labels once/);
});

const padded = (byte: number): Buffer => box('jumb', described('c2pa', 'c2pa'), box('free', Buffer.of(0, byte)));

test('padding that is not zero is refused', () => {
  assert.throws(() => parseJumbf(padded(1)), /only zeros/);
  assert.ok(parseJumbf(padded(0)));
});

test('boxes nested without end and boxes without number are refused', () => {
  let nested = box('jumb', described('c2pa', 'c2pa'));
  for (let i = 0; i < 20; i++) nested = box('jumb', described('c2pa', 'c2pa'), nested);
  assert.throws(() => parseJumbf(nested), /levels/);
  const many = Buffer.concat(Array.from({ length: 30_000 }, () => box('free')));
  assert.throws(() => parseJumbf(box('jumb', described('c2pa', 'c2pa'), many)), /at most/);
});

test('a store without manifests is refused', () => {
  assert.throws(() => activeManifest(box('jumb', described('c2pa', 'c2pa'))), JumbfError);
});
