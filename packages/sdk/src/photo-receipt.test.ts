// A receipt is believed for its own file and by the kept key alone, without a request.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { test } from 'node:test';
import { checkpointText, logOfPem, signedNote } from '@lumatrace/provenance/log/checkpoint.ts';
import { ENTRY_TYPE, RECEIPT_TYPE } from '@lumatrace/provenance/log/receipt.ts';
import { leafHash, nodeHash } from '@lumatrace/provenance/log/tree.ts';
import { Photos } from './photos.ts';

const pair = generateKeyPairSync('ed25519');
const pemOf = ({ publicKey }: typeof pair): string => publicKey.export({ type: 'spki', format: 'pem' }).toString();
const [logKey, otherKey] = [pemOf(pair), pemOf(generateKeyPairSync('ed25519'))];
const image = randomBytes(64);
const contentHash = createHash('sha256').update(image).digest('hex');
const said = { action: 'photo.protect', at: '2026-11-23T20:00:00.000Z', tenantId: 't', object: 'photo:p' };
const entry = JSON.stringify({ type: ENTRY_TYPE, ...said, sha256: { output: contentHash }, nonce: '0'.repeat(32) });
const leaf = leafHash(Buffer.from(entry));
const neighbour = randomBytes(32);
const log = logOfPem(logKey);
const text = checkpointText(log, { size: 2, root: nodeHash(neighbour, leaf) });
const receipt = {
  type: RECEIPT_TYPE,
  origin: log.origin,
  leafHash: Buffer.from(leaf).toString('hex'),
  entry,
  leafIndex: 1,
  checkpoint: signedNote(log, text, sign(null, Buffer.from(text), pair.privateKey)),
  proof: [neighbour.toString('base64')],
};
// an address that nothing answers at: a request would fail
const photos = new Photos({ endpoint: 'http://127.0.0.1:9', api_key: 'x' });

test('a receipt shows that the log holds this file, by its bytes or by their hash', () => {
  for (const file of [{ image }, { contentHash }]) {
    const { verdict, entry: read } = photos.verifyReceipt(receipt, { logKey, ...file });
    assert.equal(verdict, 'included');
    assert.deepEqual(read, { ...said, sha256: { output: contentHash } });
  }
});

const verdict = (changed: unknown, options = {}): string =>
  photos.verifyReceipt(changed, { logKey, contentHash, ...options }).verdict;

test('it is refused for another file, key, leaf or proof, and open without its proof', () => {
  assert.equal(verdict(receipt, { contentHash: randomBytes(32).toString('hex') }), 'refused');
  assert.equal(verdict(receipt, { logKey: otherKey }), 'refused');
  assert.equal(verdict({ ...receipt, entry: entry.replace('photo:p', 'photo:q') }), 'refused');
  assert.equal(verdict({ ...receipt, proof: [randomBytes(32).toString('base64')] }), 'refused');
  assert.equal(verdict({ ...receipt, leafIndex: 0 }), 'refused');
  for (const nothing of [null, 'x', [], {}]) assert.equal(verdict(nothing), 'refused');
  const { proof: _, ...early } = receipt;
  assert.equal(verdict(early), 'unknown');
});

test('a call without a file, with two, or with a key that is none is a mistake of the caller', () => {
  assert.throws(() => photos.verifyReceipt(receipt, { logKey }), TypeError);
  assert.throws(() => photos.verifyReceipt(receipt, { logKey, image, contentHash }), TypeError);
  assert.throws(() => photos.verifyReceipt(receipt, { logKey, contentHash: 'A'.repeat(64) }), TypeError);
  assert.throws(() => photos.verifyReceipt(receipt, { logKey: 'no key', contentHash }), TypeError);
});
