// The two secrets of the watermark, and the keyed streams that patterns are drawn from.
import { createCipheriv, createHash, hkdfSync } from 'node:crypto';

export const WATERMARK_KEY_BYTES = 32;

/** Of the installation: where the lines lie that tell the geometry. One search serves all tenants. */
export interface SyncKey {
  readonly version: number;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/** Of one tenant: how the symbols of an id lie on the payload's bins. */
export interface PayloadKey {
  readonly tenantId: string;
  readonly version: number;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/** What is drawn depends on the version as well as on the secret. */
export interface KeyedStream {
  /** Uniform in 0…limit−1, without bias (D. Lemire 2019); `limit` at most 2²⁰. */
  integer(limit: number): number;
  /** `count` values of ±1. */
  signs(count: number): Int8Array;
}

const BLOCK_BYTES = 64 * 1_024;

/**
 * HKDF-SHA-256 (RFC 5869) and AES-256-CTR (SP 800-38A): the same key and purpose give the same stream on every machine.
 * Cryptographic, because the false-alarm bound of the detector is a statement over the choice of the signs.
 * @throws TypeError when the secret is not 32 bytes
 */
export function keyedStream(secret: Uint8Array, purpose: string): KeyedStream {
  if (secret.length !== WATERMARK_KEY_BYTES) {
    throw new TypeError(`Expected a watermark key of ${WATERMARK_KEY_BYTES} bytes but received ${secret.length}`);
  }
  const key = new Uint8Array(hkdfSync('sha256', secret, '', `lumatrace watermark 2 ${purpose}`, 32));
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(BLOCK_BYTES);
  let block = cipher.update(zeros);
  let at = 0;
  const word = (): number => {
    if (at + 4 > block.length) {
      block = cipher.update(zeros);
      at = 0;
    }
    const value = block.readUInt32LE(at);
    at += 4;
    return value;
  };
  return {
    integer(limit) {
      const unfair = 2 ** 32 % limit;
      let product = word() * limit;
      while (product % 2 ** 32 < unfair) product = word() * limit;
      return Math.floor(product / 2 ** 32);
    },
    signs(count) {
      const signs = new Int8Array(count);
      let bits = 0;
      for (let i = 0; i < count; i++) {
        if ((i & 31) === 0) bits = word();
        signs[i] = ((bits >>> (i & 31)) & 1) * 2 - 1;
      }
      return signs;
    },
  };
}

/** Names a key in a cache without keeping its bytes. */
export function keyDigest(secret: Uint8Array, purpose: string): string {
  return createHash('sha256').update(purpose).update('\0').update(secret).digest('hex');
}
