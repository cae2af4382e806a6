// CBOR against the examples of RFC 8949 appendix A, and against hostile bytes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CborError, CborFloat, CborTag, decodeCbor, encodeCbor, type CborValue } from './cbor.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

// RFC 8949 appendix A, the rows that C2PA can need
const RFC_8949: readonly (readonly [CborValue, string])[] = [
  [0, '00'],
  [23, '17'],
  [24, '1818'],
  [1000, '1903e8'],
  [1000000, '1a000f4240'],
  [1000000000000, '1b000000e8d4a51000'],
  [18446744073709551615n, '1bffffffffffffffff'],
  [-18446744073709551616n, '3bffffffffffffffff'],
  [-1, '20'],
  [-100, '3863'],
  [-1000, '3903e7'],
  [false, 'f4'],
  [true, 'f5'],
  [null, 'f6'],
  [undefined, 'f7'],
  [new CborFloat(1.1), 'fb3ff199999999999a'],
  [new CborTag(1, 1363896240), 'c11a514b67b0'],
  [fromHex('01020304'), '4401020304'],
  ['', '60'],
  ['IETF', '6449455446'],
  ['\u6c34', '63e6b0b4'],
  [[], '80'],
  [[1, [2, 3], [4, 5]], '8301820203820405'],
  [new Map<string | number, CborValue>([[1, 2], [3, 4]]), 'a201020304'], // prettier-ignore
  [new Map<string | number, CborValue>([['a', 1], ['b', [2, 3]]]), 'a26161016162820203'], // prettier-ignore
];

test('values are written and read as RFC 8949 appendix A says', () => {
  for (const [value, text] of RFC_8949) {
    assert.equal(hex(encodeCbor(value)), text);
    assert.deepEqual(decodeCbor(fromHex(text)), value);
  }
});

test('streamed items of RFC 8949 appendix A are read', () => {
  assert.deepEqual(decodeCbor(fromHex('9f018202039f0405ffff')), [1, [2, 3], [4, 5]]);
  assert.deepEqual(decodeCbor(fromHex('5f42010243030405ff')), Uint8Array.of(1, 2, 3, 4, 5));
  assert.equal(decodeCbor(fromHex('7f657374726561646d696e67ff')), 'streaming');
  const map = new Map<string, CborValue>([['a', 1], ['b', [2, 3]]]); // prettier-ignore
  assert.deepEqual(decodeCbor(fromHex('bf61610161629f0203ffff')), map);
});

test('shorter floats are read', () => {
  assert.deepEqual(decodeCbor(fromHex('f93c00')), new CborFloat(1));
  assert.deepEqual(decodeCbor(fromHex('fa47c35000')), new CborFloat(100000));
});

const REFUSED: readonly (readonly [string, string])[] = [
  ['nothing at all', ''],
  ['a string that is cut', '6449455'.slice(0, 6)],
  ['a length of 4 GiB', '5affffffff00'],
  ['a length of 2^64-1', '5bffffffffffffffff00'],
  ['an array of 2^32 items', '9affffffff00'],
  ['a map of 2^60 entries', 'bb100000000000000000'],
  ['a streamed array that is cut', '9f01'],
  ['a streamed map with half an entry', 'bf6161ff'],
  ['a streamed string of another kind', '5f6161ff'],
  ['a streamed string in a streamed string', '5f5f4101ffff'],
  ['streams without end', '9f'.repeat(10_000)],
  ['the same key twice', 'a201020103'],
  ['a key that is an array', 'a1800f'],
  ['text that is not UTF-8', '62c328'],
  ['bytes after the item', '0000'],
  ['a reserved length', '1c'],
  ['a break alone', 'ff'],
  ['nesting without end', '81'.repeat(10_000)],
];

for (const [what, text] of REFUSED) {
  test(`${what} is refused`, () => {
    assert.throws(() => decodeCbor(fromHex(text)), CborError);
  });
}
