// Signature boxes: what we write is what is read, and what nobody signed is not overlooked.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CborTag, encodeCbor, type CborValue } from './cbor.ts';
import { makeChain } from './chain.fixture.ts';
import { CoseError, coseSign1Length, parseClaimSignature, signClaim, sigStructure } from './cose.ts';

const CLAIM = Uint8Array.of(0xa0);

test('the announced length is the length of the signature box, with every algorithm', async () => {
  for (const alg of ['es256', 'ps256', 'ed25519'] as const) {
    const { signer } = await makeChain({ alg });
    const box = await signClaim(signer, CLAIM);
    assert.equal(box.length, coseSign1Length(signer));
    const parsed = parseClaimSignature(box);
    assert.deepEqual(parsed.chainDer, signer.certificateChainDer);
    assert.deepEqual(parsed.unknownHeaders, []);
    assert.equal(parsed.hasTimestamp, false);
  }
});

test('what is signed is the structure of RFC 9052', () => {
  // array(4), "Signature1", bytes(1) a0, bytes(0), bytes(2) 0102
  const expected = '846a5369676e61747572653141a040420102';
  assert.equal(Buffer.from(sigStructure(CLAIM, Uint8Array.of(1, 2))).toString('hex'), expected);
});

const chain: CborValue = [Uint8Array.of(0x30)];
const header = encodeCbor(new Map<number, CborValue>([[1, -7], [33, chain]])); // prettier-ignore
const signature = new Uint8Array(64);
const box = (unprotected: [string | number, CborValue][], payload: CborValue = null, tag = 18): Uint8Array =>
  encodeCbor(new CborTag(tag, [header, new Map(unprotected), payload, signature]));

test('padding of zeros and time stamps are read', () => {
  assert.equal(parseClaimSignature(box([['pad', new Uint8Array(500)]])).hasTimestamp, false);
  assert.equal(parseClaimSignature(box([['sigTst2', new Map<string, CborValue>()]])).hasTimestamp, true);
});

test('padding that is not zero is refused', () => {
  const pad = new Uint8Array(500);
  pad[499] = 1;
  for (const key of ['pad', 'pad2']) assert.throws(() => parseClaimSignature(box([[key, pad]])), CoseError);
  assert.throws(() => parseClaimSignature(box([['pad', 'text']])), CoseError);
});

test('headers that C2PA does not know are named', () => {
  assert.deepEqual(parseClaimSignature(box([['note', 'x'], [4, 'kid']])).unknownHeaders, ['note', '4']); // prettier-ignore
});

test('another shape is refused', () => {
  const shapes: readonly Uint8Array[] = [
    box([], Uint8Array.of(1)),
    box([], null, 17),
    encodeCbor([header, new Map(), null]),
    encodeCbor('signature'),
    encodeCbor([encodeCbor(new Map([[1, -7]])), new Map(), null, signature]),
    Uint8Array.of(0xd2, 0x84),
  ];
  for (const shape of shapes) assert.throws(() => parseClaimSignature(shape), CoseError);
});
