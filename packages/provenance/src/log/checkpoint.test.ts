// A checkpoint is read back only as the log signed it.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { test } from 'node:test';
import { checkpointText, logOfPem, logOfSpki, pemOf, readCheckpoint, signedNote, verifierKey } from './checkpoint.ts';

function newLog() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const log = logOfSpki(publicKey.export({ format: 'der', type: 'spki' }));
  return { log, noteOf: (text: string) => signedNote(log, text, sign(null, Buffer.from(text), privateKey)) };
}

const { log, noteOf } = newLog();
const checkpoint = { size: 1_234_567, root: randomBytes(32) };
const note = noteOf(checkpointText(log, checkpoint));

test('a checkpoint says what was signed, with the key from its PEM', () => {
  assert.deepEqual(readCheckpoint(logOfPem(pemOf(log)), note), checkpoint);
  assert.match(verifierKey(log), /^lumatrace\/log\/[0-9a-f]{32}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44}$/);
});

test('any changed byte is refused, and so is another log', () => {
  const bytes = Buffer.from(note);
  for (let i = 0; i < bytes.length; i++) {
    const changed = Buffer.from(bytes);
    changed[i] = bytes[i] === 0x31 ? 0x32 : 0x31;
    assert.throws(() => readCheckpoint(log, changed.toString()), { name: 'LogError' }, `byte ${i}`);
  }
  assert.throws(() => readCheckpoint(newLog().log, note), { code: 'UNTRUSTED' });
});

test('signatures of witnesses and further lines may stand beside ours; ours alone counts', () => {
  const witness = newLog();
  const line = witness.noteOf(checkpointText(log, checkpoint)).split('\n').at(-2) ?? '';
  assert.deepEqual(readCheckpoint(log, `${note}${line}\n`), checkpoint);
  assert.deepEqual(readCheckpoint(log, noteOf(`${checkpointText(log, checkpoint)}an extension\n`)), checkpoint);
  const foreign = note.slice(0, note.indexOf('\n\n') + 2) + `${line}\n`;
  assert.throws(() => readCheckpoint(log, foreign), { code: 'UNTRUSTED' });
});

test('texts that are no checkpoint are refused by code', () => {
  const refused = ['', '\n', '\n\n', 'a\n\nb\n', `${log.origin}\n01\n${'A'.repeat(43)}=\n\n`, 'x'.repeat(70_000)];
  for (const text of refused) assert.throws(() => readCheckpoint(log, text), { name: 'LogError' });
  assert.throws(() => readCheckpoint(log, noteOf(`${log.origin}\n-1\n${'A'.repeat(43)}=\n`)), { code: 'MALFORMED' });
  assert.throws(() => logOfPem('no key'), { code: 'MALFORMED' });
});
