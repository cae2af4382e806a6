// Signature boxes: what we write is what is read, and what nobody signed is not overlooked.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CborTag, encodeCbor, type CborValue } from './cbor.ts';
import { makeChain } from './chain.fixture.ts';
import { CoseError, coseSign1Length, parseClaimSignature, signClaim, sigStructure, type Timestamper } from './cose.ts';

const CLAIM = Uint8Array.of(0xa0);

test('the announced length is the length of the signature box, with every algorithm', async () => {
  for (const alg of ['es256', 'ps256', 'ed25519'] as const) {
    const { signer } = await makeChain({ alg });
    const box = await signClaim(signer, CLAIM);
    assert.equal(box.length, coseSign1Length(signer));
    const parsed = parseClaimSignature(box);
    assert.deepEqual(parsed.chainDer, signer.certificateChainDer);
    assert.deepEqual(parsed.unknownHeaders, []);
    assert.equal(parsed.timestamp, null);
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
  const { timestamp } = parseClaimSignature(box([['pad', new Uint8Array(500)]]));
  assert.equal(timestamp, null);
  for (const [key, version] of [
    ['sigTst', 1],
    ['sigTst2', 2],
  ] as const)
    // prettier-ignore
    assert.deepEqual(parseClaimSignature(box([[key, tokens(Uint8Array.of(9))]])).timestamp, {
      version,
      bytes: Uint8Array.of(9),
    });
});

const tokens = (...values: CborValue[]): CborValue =>
  new Map([['tstTokens', values.map((val) => new Map([['val', val]]))]]);

test('two time stamps, none in a store, or something else are refused', () => {
  const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)];
  for (const store of [tokens(one, two), tokens(), tokens('text'), new Map<string, CborValue>(), 7])
    for (const key of ['sigTst', 'sigTst2']) assert.throws(() => parseClaimSignature(box([[key, store]])), CoseError);
  assert.throws(() => parseClaimSignature(box([['sigTst', tokens(one)], ['sigTst2', tokens(one)]])), CoseError); // prettier-ignore
});

test('a time stamp of any length up to the announced one fits exactly, and a longer one is refused', async () => {
  const { signer } = await makeChain();
  const maxTokenBytes = 900;
  const digests = new Set<string>();
  const stamping = (length: number): Timestamper => ({
    maxTokenBytes,
    async stamp(digest) {
      digests.add(Buffer.from(digest).toString('hex'));
      return new Uint8Array(length).fill(7);
    },
  });
  for (let length = maxTokenBytes; length >= maxTokenBytes - 600; length--) {
    const written = await signClaim(signer, CLAIM, stamping(length));
    assert.equal(written.length, coseSign1Length(signer, stamping(length)));
    const { timestamp, unknownHeaders } = parseClaimSignature(written);
    assert.deepEqual([timestamp?.version, timestamp?.bytes.length, unknownHeaders], [2, length, []]);
  }
  assert.ok(digests.size > 1, 'each signature has a digest of its own');
  await assert.rejects(signClaim(signer, CLAIM, stamping(maxTokenBytes + 1)), CoseError);
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
