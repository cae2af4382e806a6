// Known answers and known attacks on what our keys are used for: one published answer each that always runs, and the vectors
// of C2SP/wycheproof where LUMATRACE_SUITES names a folder with its checkout (docs/guides/keys.md). Never copied here.
import assert from 'node:assert/strict';
import { constants, createHmac, createPublicKey, createSecretKey, hkdfSync, verify } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GCM_NONCE_BYTES, gcmOpen, gcmSeal } from './aes-gcm.ts';
import { isSignedBy } from './transit.ts';

const ROOT = process.env['LUMATRACE_SUITES'];

type Vector = Readonly<Record<string, string>> & {
  tcId: number;
  result: 'valid' | 'invalid' | 'acceptable';
  size: number;
};
interface Group {
  publicKeyPem?: string;
  publicKeyDer?: string;
  tagSize?: number;
  tests: readonly Vector[];
}

const hex = (text = ''): Buffer => Buffer.from(text, 'hex');

/** Runs every vector of a file: `answer` tells what we say to it, true for valid. All of them must be answered. */
function suite(file: string, expected: number, answer: (vector: Vector, group: Group) => boolean): void {
  const path = ROOT === undefined ? '' : join(ROOT, 'wycheproof', 'testvectors_v1', `${file}_test.json`);
  const skip = ROOT === undefined ? 'LUMATRACE_SUITES is not set' : !existsSync(path) && `there is no ${path}`;
  test(`Wycheproof ${file}`, { skip }, (t) => {
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as { testGroups: readonly Group[] };
    const cases = testGroups.flatMap((group) => group.tests.map((vector) => ({ vector, group })));
    const wrong = cases.filter(
      ({ vector, group }) => vector.result !== 'acceptable' && answer(vector, group) !== (vector.result === 'valid'),
    );
    t.diagnostic(`${cases.length} vectors`);
    assert.deepEqual(
      wrong.map(({ vector: { tcId } }) => tcId),
      [],
    );
    assert.ok(cases.length >= expected, `${cases.length} of at least ${expected}`);
  });
}

// keys of 256 bits and nonces of 96 are all that we use: of other lengths it must refuse, valid or not
suite('aes_gcm', 316, ({ key, iv, aad, msg, ct, tag, result }) => {
  const [secret, nonce, bound] = [createSecretKey(hex(key)), hex(iv), hex(aad)];
  const sealed = Buffer.concat([hex(ct), hex(tag)]);
  if (secret.symmetricKeySize !== 32 || nonce.length !== GCM_NONCE_BYTES) {
    assert.throws(() => gcmSeal(secret, nonce, bound, hex(msg)), TypeError);
    assert.throws(() => gcmOpen(secret, nonce, bound, sealed), TypeError);
    return result === 'valid';
  }
  const opened = gcmOpen(secret, nonce, bound, sealed);
  if (opened === undefined) return false;
  assert.deepEqual(gcmSeal(secret, nonce, bound, hex(msg)), sealed);
  return opened.equals(hex(msg));
});

suite('hkdf_sha256', 86, ({ ikm, salt, info, size, okm }) => {
  try {
    return Buffer.from(hkdfSync('sha256', hex(ikm), hex(salt), hex(info), size)).equals(hex(okm));
  } catch {
    return false;
  }
});

suite('hmac_sha256', 174, ({ key, msg, tag }, { tagSize = 256 }) =>
  createHmac('sha256', hex(key))
    .update(hex(msg))
    .digest()
    .subarray(0, tagSize / 8)
    .equals(hex(tag)),
);

const publicKeyOf = ({ publicKeyPem = '' }: Group): ReturnType<typeof createPublicKey> => createPublicKey(publicKeyPem);

suite('ed25519', 151, ({ msg, sig }, group) => isSignedBy(publicKeyOf(group), 'ed25519', hex(msg), hex(sig)));
suite('ecdsa_secp256r1_sha256_p1363', 262, ({ msg, sig }, group) =>
  isSignedBy(publicKeyOf(group), 'es256', hex(msg), hex(sig)),
);
// registrations, certificates and checkpoints: the same in DER
suite('ecdsa_secp256r1_sha256', 484, ({ msg, sig }, group) => verify('sha256', hex(msg), publicKeyOf(group), hex(sig)));
for (const bits of [2048, 3072])
  suite(`rsa_pss_${bits}_sha256_mgf1_32`, 108, ({ msg, sig }, group) =>
    isSignedBy(publicKeyOf(group), 'ps256', hex(msg), hex(sig)),
  );
// tokens
for (const bits of [2048, 3072])
  suite(`rsa_signature_${bits}_sha256`, 259, ({ msg, sig }, group) =>
    verify('sha256', hex(msg), { key: publicKeyOf(group), padding: constants.RSA_PKCS1_PADDING }, hex(sig)),
  );

test('AES-256-GCM gives the answer of its specification, and opens nothing else', () => {
  // McGrew and Viega, The Galois/Counter Mode of Operation, test case 16
  const key = createSecretKey(hex('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308'));
  const nonce = hex('cafebabefacedbaddecaf888');
  const aad = hex('feedfacedeadbeeffeedfacedeadbeefabaddad2');
  const plain = hex(
    'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
  );
  const sealed = gcmSeal(key, nonce, aad, plain);
  assert.equal(sealed.subarray(-16).toString('hex'), '76fc6ece0f4e1768cddf8853bb2d551b');
  assert.equal(sealed.subarray(0, 8).toString('hex'), '522dc1f099567d07');
  assert.deepEqual(gcmOpen(key, nonce, aad, sealed), plain);
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at]! ^= 1;
    assert.equal(gcmOpen(key, nonce, aad, changed), undefined);
  }
  assert.equal(gcmOpen(key, nonce, aad.subarray(1), sealed), undefined);
  for (let length = 0; length < sealed.length; length++)
    assert.equal(gcmOpen(key, nonce, aad, sealed.subarray(0, length)), undefined);
});

test('HKDF-SHA-256 gives the answer of RFC 5869, HMAC-SHA-256 that of RFC 4231', () => {
  const okm = hkdfSync(
    'sha256',
    hex('0b'.repeat(22)),
    hex('000102030405060708090a0b0c'),
    hex('f0f1f2f3f4f5f6f7f8f9'),
    42,
  );
  assert.equal(
    Buffer.from(okm).toString('hex'),
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  );
  assert.equal(
    createHmac('sha256', 'Jefe').update('what do ya want for nothing?').digest('hex'),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
});
