// Our SHA-256 against Node's, at every length around the block borders.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { photoIdInName, protectedName } from './photos.ts';
import { sha256, sha256Hex } from './sha256.ts';

test('the digest equals the one of OpenSSL for every length up to four blocks and for a megabyte', () => {
  const lengths = [...Array.from({ length: 257 }, (_, length) => length), 1_048_577];
  for (const length of lengths) {
    const bytes = randomBytes(length);
    assert.equal(Buffer.from(sha256(bytes)).toString('hex'), createHash('sha256').update(bytes).digest('hex'));
  }
});

test('a file hashes the same with and without the browser’s own implementation', async () => {
  const expected = createHash('sha256').update('lumatrace').digest('hex');
  assert.equal(await sha256Hex(new Blob(['lumatrace'])), expected);
});

test('a protected image carries its photo id in its name, once', () => {
  const id = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff';
  assert.equal(protectedName('harbour.jpg', id), `harbour.${id}.jpg`);
  assert.equal(protectedName(`harbour.${id}.jpg`, id), `harbour.${id}.jpg`);
  assert.equal(protectedName('noname', id), `noname.${id}`);
  assert.equal(photoIdInName(`a ${id.toUpperCase()} (1).png`), id);
  assert.equal(photoIdInName('harbour.jpg'), undefined);
});
