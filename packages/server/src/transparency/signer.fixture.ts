// A signer in this process, for tests of rooms that need the log; the signer's process has its own tests.
import { createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import type { LogOptions } from './log.ts';

export function signerHere(): LogOptions['signer'] {
  const keys = new Map<string, KeyObject>();
  return {
    async generate() {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const publicKeySpki = publicKey.export({ format: 'der', type: 'spki' });
      return { publicKey, publicKeySpki, wrappedPrivate: privateKey.export({ format: 'der', type: 'pkcs8' }) };
    },
    async load(kid, wrapped) {
      keys.set(kid, createPrivateKey({ key: Buffer.from(wrapped), format: 'der', type: 'pkcs8' }));
    },
    async sign(kid, tbs) {
      return sign(null, tbs, keys.get(kid) as KeyObject);
    },
  };
}
