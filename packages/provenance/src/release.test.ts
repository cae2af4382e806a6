import assert from 'node:assert/strict';
import { test } from 'node:test';
import { release } from './release.ts';

test('memory is given back, but not that of a part whose rest others may read', () => {
  const whole = new Float32Array(1_000);
  const shared = new Uint8Array(16);
  const part = shared.subarray(4, 8);
  release(whole, part);
  assert.equal(whole.length, 0);
  assert.equal(whole.buffer.byteLength, 0);
  assert.equal(part.length, 4);
});

test('giving back twice, or nothing, is no error', () => {
  const view = new Uint8Array(8);
  release(view, view, new Uint8Array(0));
  release();
  assert.equal(view.length, 0);
});
