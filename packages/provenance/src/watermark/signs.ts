// The keyed signs: a photo's key becomes one unpredictable ±1 for every coefficient of the mark.
// Cryptographic, because the false-alarm bound of the detector is a statement over the choice of these signs.
import { createCipheriv, hkdfSync } from 'node:crypto';

export const PHOTO_KEY_BYTES = 32;

/**
 * `count` values of +1 or −1 from HKDF-SHA-256 (RFC 5869) and AES-256-CTR (SP 800-38A); the same key gives the same
 * signs on every machine.
 * @throws TypeError when the key is not 32 bytes.
 */
export function keyedSigns(photoKey: Uint8Array, count: number): Int8Array {
  if (photoKey.length !== PHOTO_KEY_BYTES) {
    throw new TypeError(`Expected a photo key of ${PHOTO_KEY_BYTES} bytes but received ${photoKey.length}`);
  }
  const key = new Uint8Array(hkdfSync('sha256', photoKey, '', 'lumatrace watermark signs 1', 32));
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc((count + 7) >> 3));
  const signs = new Int8Array(count);
  for (let i = 0; i < count; i++) signs[i] = (((stream[i >> 3] as number) >> (i & 7)) & 1) * 2 - 1;
  return signs;
}
