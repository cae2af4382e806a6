// A checkpoint is read back only as it was signed.
import assert from 'node:assert/strict';
import { createPublicKey, randomBytes, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { checkpointKey, readCheckpoint, writeCheckpoint } from './audit-checkpoint.ts';

const key = checkpointKey(randomBytes(32));
const checkpoint = {
  tenantId: randomUUID(),
  position: 12_345,
  hash: randomBytes(32).toString('hex'),
  root: randomBytes(32).toString('hex'),
};
const note = writeCheckpoint(key, checkpoint);

test('a checkpoint says what was signed', () => {
  assert.deepEqual(readCheckpoint(createPublicKey(key), note), checkpoint);
});

test('a signature in another spelling of base64 is refused', () => {
  const last = note.lastIndexOf('=') - 1;
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const spelled = note.slice(0, last) + alphabet[alphabet.indexOf(note[last] ?? '') + 1] + note.slice(last + 1);
  assert.ok(Buffer.from(spelled.slice(-94, -1), 'base64').equals(Buffer.from(note.slice(-94, -1), 'base64')));
  assert.equal(readCheckpoint(createPublicKey(key), spelled), undefined);
});

test('a changed byte anywhere, and another key, are refused', () => {
  for (let i = 0; i < note.length; i++) {
    const changed = note.slice(0, i) + (note[i] === '1' ? '2' : '1') + note.slice(i + 1);
    assert.equal(readCheckpoint(createPublicKey(key), changed), undefined, `byte ${i}`);
  }
  assert.equal(readCheckpoint(createPublicKey(checkpointKey(randomBytes(32))), note), undefined);
});
