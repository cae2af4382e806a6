// A receipt is believed when entry, leaf, proof, checkpoint, key and file all fit, and refused when one of them does not.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { test } from 'node:test';
import { checkpointText, logOfSpki, signedNote } from './checkpoint.ts';
import { checkReceipt, ENTRY_TYPE, RECEIPT_TYPE, type LogEntry, type Receipt } from './receipt.ts';
import { leafHash, nodeHash } from './tree.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const log = logOfSpki(publicKey.export({ format: 'der', type: 'spki' }));
const other = logOfSpki(generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }));
const file = randomBytes(32).toString('hex');
const said: LogEntry = {
  type: ENTRY_TYPE,
  action: 'photo.protect',
  at: '2026-11-23T20:00:00.000Z',
  tenantId: '6f2d2f4e-8b6d-4a53-9b6d-0d3c6f3b1a11',
  object: 'photo:0b8a6f2e-5a55-4a0c-8c58-1f8a3a1c9c22',
  sha256: { content: randomBytes(32).toString('hex'), output: file },
  nonce: randomBytes(16).toString('hex'),
};
const entry = JSON.stringify(said);
const leaf = leafHash(Buffer.from(entry));
const neighbour = randomBytes(32);
const text = checkpointText(log, { size: 2, root: nodeHash(neighbour, leaf) });
const receipt: Receipt = {
  type: RECEIPT_TYPE,
  origin: log.origin,
  leafHash: Buffer.from(leaf).toString('hex'),
  entry,
  leafIndex: 1,
  checkpoint: signedNote(log, text, sign(null, Buffer.from(text), privateKey)),
  proof: [neighbour.toString('base64')],
};

test('a whole receipt shows that the log holds the entry about this file', () => {
  const { verdict, entry: read, findings } = checkReceipt(JSON.parse(JSON.stringify(receipt)), log, file);
  assert.equal(verdict, 'included');
  assert.deepEqual(read, said);
  assert.deepEqual(
    findings.map(({ code, evidence }) => [code, evidence]),
    [
      ['org.lumatrace.log.fileMatches', { role: 'output' }],
      ['org.lumatrace.log.included', { leafIndex: 1, treeSize: 2 }],
    ],
  );
});

test('without the proof or the key nothing is said for it', () => {
  const { leafIndex: _, checkpoint: __, proof: ___, ...early } = receipt;
  assert.equal(checkReceipt(early, log, file).verdict, 'unknown');
  assert.equal(checkReceipt(receipt, null, file).verdict, 'unknown');
  assert.equal(checkReceipt(receipt, null, randomBytes(32).toString('hex')).verdict, 'refused');
});

function codesOf(...args: Parameters<typeof checkReceipt>): string[] {
  const { verdict, findings } = checkReceipt(...args);
  assert.equal(verdict, 'refused');
  return findings.filter(({ severity }) => severity === 'failure').map(({ code }) => code.split('.').at(-1) ?? '');
}

test('another file, key, place, entry or proof is refused by its own code', () => {
  assert.deepEqual(codesOf(receipt, log, randomBytes(32).toString('hex')), ['fileDiffers']);
  assert.deepEqual(codesOf(receipt, other, file), ['checkpointUntrusted']);
  assert.deepEqual(codesOf({ ...receipt, origin: other.origin }, other, file), ['checkpointUntrusted']);
  assert.deepEqual(codesOf({ ...receipt, leafIndex: 0 }, log, file), ['proofFails']);
  assert.deepEqual(codesOf({ ...receipt, entry: entry.replace('protect', 'register') }, log, file), ['entryMismatch']);
  assert.deepEqual(codesOf({ ...receipt, proof: [] }, log, file), ['proofFails']);
  assert.deepEqual(codesOf({ ...receipt, proof: ['AA=='] }, log, file), ['receiptMalformed']);
  for (const no of [null, 7, 'text', [], {}, { ...receipt, leafIndex: -1 }, { ...receipt, proof: Array(65).fill('') }])
    assert.deepEqual(codesOf(no, log, file), ['receiptMalformed']);
});

test('every changed byte of the proof is refused', () => {
  for (let byte = 0; byte < 32; byte++) {
    const changed = Buffer.from(neighbour);
    changed[byte] = (changed[byte] as number) ^ 0x80;
    assert.equal(checkReceipt({ ...receipt, proof: [changed.toString('base64')] }, log, file).verdict, 'refused');
  }
});
