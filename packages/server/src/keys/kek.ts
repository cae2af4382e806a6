// The key-encryption key at the top of the hierarchy: wraps and unwraps other keys, encrypts nothing else.
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { GCM_NONCE_BYTES, GCM_TAG_BYTES, gcmOpen, gcmSeal } from './aes-gcm.ts';

/** A key or sealed bytes that cannot be opened: truncated, altered, or made under another key or for another use. */
export class KeyError extends Error {
  readonly code: 'KEY_MALFORMED' | 'KEY_REFUSED' | 'KEY_UNKNOWN_VERSION' | 'KEY_DESTROYED';

  constructor(code: KeyError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KeyError';
    this.code = code;
  }
}

const KEK_BYTES = 32;
const FORMAT = 1;
const AES_256_GCM = 1;
/** format u8 | algorithm u8 | KEK version u32 | nonce | ciphertext | tag */
const HEADER_BYTES = 1 + 1 + 4;

export interface Kek {
  readonly version: number;
  /** Seals a key for one use; `use` is bound in and must be given again to unwrap. */
  wrap(use: string, key: Uint8Array): Buffer;
  /** Throws a KeyError for bytes or a use that are not ours. */
  unwrap(use: string, wrapped: Uint8Array): Buffer;
}

/** The file-backed KEK: 32 bytes, AES-256-GCM with a random nonce per wrapping (NIST SP 800-38D). */
export function kekFromBytes(bytes: Uint8Array, version = 1): Kek {
  if (bytes.length !== KEK_BYTES)
    throw new TypeError(`Expected a KEK of ${KEK_BYTES} bytes but received ${bytes.length}`);
  const key = createSecretKey(bytes);
  return {
    version,
    wrap: (use, plain) => wrap(key, version, use, plain),
    unwrap: (use, wrapped) => unwrap(key, version, use, wrapped),
  };
}

/** One version of the KEK in clear. */
export interface KekVersion {
  version: number;
  /** 32 bytes. */
  bytes: Uint8Array;
}

/** The engine that holds the KEK does not answer, or does not let us use it any more. Answered 503. */
export class KekUnavailable extends Error {
  readonly code = 'UNAVAILABLE';
}

/**
 * A KEK that rotates while it is used: the version in use wraps, every version that is held unwraps. What it holds can be
 * replaced, or be taken away until somebody gives it again.
 */
export class KekRing implements Kek {
  #keks = new Map<number, Kek>();
  #inUse = 0;

  constructor(inUse: KekVersion, others: readonly KekVersion[] = []) {
    this.give(inUse, others);
  }

  get version(): number {
    return this.#inUse;
  }

  /** False after it was taken away. */
  get isHeld(): boolean {
    return this.#keks.size > 0;
  }

  give(inUse: KekVersion, others: readonly KekVersion[] = []): void {
    this.#keks = new Map([inUse, ...others].map(({ version, bytes }) => [version, kekFromBytes(bytes, version)]));
    this.#inUse = inUse.version;
  }

  /** From now on nothing is wrapped or unwrapped. */
  takeAway(): void {
    this.#keks.clear();
  }

  wrap(use: string, key: Uint8Array): Buffer {
    return this.#of(this.#inUse).wrap(use, key);
  }

  unwrap(use: string, wrapped: Uint8Array): Buffer {
    return this.#of(wrappedVersion(wrapped)).unwrap(use, wrapped);
  }

  #of(version: number): Kek {
    if (this.#keks.size === 0)
      throw new KekUnavailable('The key above all keys cannot be used at the moment: its engine does not open it.');
    const kek = this.#keks.get(version);
    if (kek !== undefined) return kek;
    throw new KeyError(
      'KEY_UNKNOWN_VERSION',
      `The key was wrapped by version ${version} of the KEK, which is not here.`,
    );
  }
}

/** Which version of the KEK wrapped these bytes. @throws KeyError KEY_MALFORMED */
export function wrappedVersion(wrapped: Uint8Array): number {
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.byteLength);
  if (bytes.length >= HEADER_BYTES) return bytes.readUInt32BE(2);
  throw new KeyError('KEY_MALFORMED', 'The wrapped key is not in our format.');
}

function wrap(key: KeyObject, version: number, use: string, plain: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(FORMAT, 0);
  header.writeUInt8(AES_256_GCM, 1);
  header.writeUInt32BE(version, 2);
  const nonce = randomBytes(GCM_NONCE_BYTES);
  return Buffer.concat([header, nonce, gcmSeal(key, nonce, boundTo(use, version), plain)]);
}

function unwrap(key: KeyObject, version: number, use: string, wrapped: Uint8Array): Buffer {
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.byteLength);
  const bodyAt = HEADER_BYTES + GCM_NONCE_BYTES;
  if (bytes.length < bodyAt + GCM_TAG_BYTES || bytes[0] !== FORMAT || bytes[1] !== AES_256_GCM) {
    throw new KeyError('KEY_MALFORMED', 'The wrapped key is not in our format.');
  }
  if (bytes.readUInt32BE(2) !== version) {
    throw new KeyError('KEY_UNKNOWN_VERSION', `The key was wrapped by version ${bytes.readUInt32BE(2)} of the KEK.`);
  }
  const nonce = bytes.subarray(HEADER_BYTES, bodyAt);
  const plain = gcmOpen(key, nonce, boundTo(use, version), bytes.subarray(bodyAt));
  if (plain === undefined) throw new KeyError('KEY_REFUSED', 'The wrapped key cannot be opened with this KEK.');
  return plain;
}

const boundTo = (use: string, version: number): Buffer => Buffer.from(`${use}|${version}`, 'utf8');
