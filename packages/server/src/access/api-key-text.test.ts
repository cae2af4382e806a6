// The text of an API key: its randomness, its checksum, and how it is told apart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { containsApiKey, isWellFormedApiKey, newApiKey, shownPrefix } from './api-key-text.ts';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const valueOf = (text: string): bigint => [...text].reduce((sum, c) => sum * 62n + BigInt(ALPHABET.indexOf(c)), 0n);

test('all 256 bits stand in the key, and the checksum is the CRC-32 of what stands before it', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.constantFrom('live', 'test'),
      (bytes, environment) => {
        const key = newApiKey(environment, bytes);
        assert.match(key, /^lumina_(live|test)_[0-9A-Za-z]{49}$/);
        assert.equal(valueOf(key.slice(12, 55)), BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
        assert.equal(valueOf(key.slice(55)), BigInt(crc32(key.slice(0, 55))));
        assert.ok(isWellFormedApiKey(key));
      },
    ),
  );
});

test('no key comes twice', () => {
  assert.equal(new Set(Array.from({ length: 1_000 }, () => newApiKey('live'))).size, 1_000);
});

test('every single changed character is noticed before anybody is asked', () => {
  const key = newApiKey('live');
  for (let at = 0; at < key.length; at++) {
    for (const other of ['0', 'z', '_', ' ', 'é']) {
      if (key[at] === other) continue;
      assert.ok(!isWellFormedApiKey(key.slice(0, at) + other + key.slice(at + 1)), `${at} ${other}`);
    }
  }
  for (const text of [
    '',
    key.slice(1),
    `${key}0`,
    key.replace('live', 'test'),
    key.toUpperCase(),
    ` ${key}`,
    `${key}\n`,
  ]) {
    assert.ok(!isWellFormedApiKey(text), text);
  }
});

test('a key is found anywhere in a text, and its beginning alone is not a key', () => {
  const key = newApiKey('test');
  assert.ok(containsApiKey(`/api/traces?q=a&x=${key}&y`));
  assert.ok(!containsApiKey(`/api/traces?q=${shownPrefix(key)}`));
  assert.equal(shownPrefix(key).length, 18);
});
