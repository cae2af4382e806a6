// AES-256-GCM as it is used for keys and for what stands in columns: a nonce of 96 bits and a tag of 128, nothing else
// (NIST SP 800-38D). Other lengths are refused before anything is computed: a short tag would be easy to forge.
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';

export const GCM_NONCE_BYTES = 12;
export const GCM_TAG_BYTES = 16;
const KEY_BYTES = 32;

/** Ciphertext and tag. A nonce is never used twice with a key: that is for the caller. @throws TypeError for other lengths */
export function gcmSeal(key: KeyObject, nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): Buffer {
  requireLengths(key, nonce);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: GCM_TAG_BYTES }).setAAD(aad);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Reverses it; undefined for anything that was not sealed so. @throws TypeError for other lengths of key or nonce */
export function gcmOpen(key: KeyObject, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer | undefined {
  requireLengths(key, nonce);
  if (sealed.length < GCM_TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: GCM_TAG_BYTES }).setAAD(aad);
  decipher.setAuthTag(sealed.subarray(-GCM_TAG_BYTES));
  const plain = decipher.update(sealed.subarray(0, -GCM_TAG_BYTES));
  try {
    decipher.final();
    return plain;
  } catch {
    return undefined;
  }
}

function requireLengths(key: KeyObject, nonce: Uint8Array): void {
  if (key.symmetricKeySize === KEY_BYTES && nonce.length === GCM_NONCE_BYTES) return;
  throw new TypeError(
    `Expected a key of ${KEY_BYTES} and a nonce of ${GCM_NONCE_BYTES} bytes but received ${key.symmetricKeySize} and ${nonce.length}`,
  );
}
