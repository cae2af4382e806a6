// What the signer process and its client say to each other: frames of JSON behind a length, and sealed private keys.
// Imports only node:*: the signer process should stay small enough to be read in one sitting.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';

/** How a key signs; fixed when it is generated, so that no key ever has two uses. */
export type KeyAlgorithm =
  /** RSA-3072, RSASSA-PKCS1-v1_5 with SHA-256: JSON Web Tokens. */
  | 'rs256'
  /** RSA-3072, RSASSA-PSS with SHA-256 and a salt of 32 bytes: C2PA. */
  | 'ps256'
  /** ECDSA P-256 with SHA-256 as R‖S of 64 bytes (IEEE P1363): C2PA. */
  | 'es256'
  /** ECDSA P-256 with SHA-256 in DER: registrations and certificates. */
  | 'es256-der'
  /** Ed25519 of 64 bytes. */
  | 'ed25519';

export const KEY_ALGORITHMS: readonly KeyAlgorithm[] = ['rs256', 'ps256', 'es256', 'es256-der', 'ed25519'];

export type Request =
  | { readonly id: number; readonly op: 'hello'; readonly token: string }
  | { readonly id: number; readonly op: 'generate'; readonly alg: KeyAlgorithm }
  | { readonly id: number; readonly op: 'load'; readonly kid: string; readonly wrapped: string }
  /** Answered with `wrapped`: the same private key sealed under the first wrapping key. */
  | { readonly id: number; readonly op: 'rewrap'; readonly wrapped: string }
  /** A key file of the operator's: its bytes are read in the signer process alone. Answered with `spki`. */
  | { readonly id: number; readonly op: 'open'; readonly kid: string; readonly path: string }
  | { readonly id: number; readonly op: 'sign'; readonly kid: string; readonly tbs: string };

/** Bytes are base64. */
export type Response =
  | {
      readonly id: number;
      readonly ok: true;
      readonly signature?: string;
      readonly spki?: string;
      readonly wrapped?: string;
    }
  | { readonly id: number; readonly ok: false; readonly code: RefusalCode; readonly message: string };

export type RefusalCode = 'UNKNOWN_KEY' | 'KEY_REFUSED' | 'KEY_MODE' | 'KEY_MISMATCH' | 'BAD_REQUEST';

/** What the signer reads once, as one line of JSON, on its standard input; the input then stays open as its lifeline. */
export interface StartLine {
  readonly socketPath: string;
  /** base64 of 32 bytes each, derived from versions of the KEK: the first seals, all of them open. */
  readonly wrappingKeys: readonly string[];
  /** base64 of 32 random bytes: the first frame of every connection must repeat it. */
  readonly token: string;
}

export class ProtocolError extends Error {
  readonly code = 'SIGNER_PROTOCOL';
}

export const MAX_FRAME_BYTES = 256 * 1024;
const LENGTH_BYTES = 4;

export function encodeFrame(message: Request | Response): Buffer {
  const body = Buffer.from(JSON.stringify(message), 'utf8');
  if (body.length > MAX_FRAME_BYTES)
    throw new ProtocolError(`Expected a frame of at most ${MAX_FRAME_BYTES} bytes but made ${body.length}`);
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + body.length);
  frame.writeUInt32BE(body.length);
  body.copy(frame, LENGTH_BYTES);
  return frame;
}

/** Collects bytes of one connection; `push` gives the messages that became whole. @throws ProtocolError for a bad frame. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): unknown[] {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const messages: unknown[] = [];
    while (this.#pending.length >= LENGTH_BYTES) {
      const length = this.#pending.readUInt32BE();
      if (length === 0 || length > MAX_FRAME_BYTES)
        throw new ProtocolError(`Expected a frame of 1 to ${MAX_FRAME_BYTES} bytes but was announced ${length}`);
      const end = LENGTH_BYTES + length;
      if (this.#pending.length < end) break;
      messages.push(parsed(this.#pending.subarray(LENGTH_BYTES, end)));
      this.#pending = this.#pending.subarray(end);
    }
    return messages;
  }
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new ProtocolError('Expected JSON in a frame', { cause });
  }
}

// ---------------------------------------------------------------- sealed private keys

const WRAP_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const WRAP_VERSION = 1;
const AAD = Buffer.from('lumatrace|signer|private-key|1', 'utf8');

/** The key that seals private keys, from the 32 bytes of the KEK (HKDF-SHA-256, RFC 5869). */
export function wrappingKeyFrom(kek: Uint8Array): Buffer {
  if (kek.length !== WRAP_BYTES)
    throw new TypeError(`Expected a KEK of ${WRAP_BYTES} bytes but received ${kek.length}`);
  return Buffer.from(hkdfSync('sha256', kek, Buffer.alloc(0), 'lumatrace signer wrapping key 1', WRAP_BYTES));
}

/** version | nonce | AES-256-GCM(algorithm index | PKCS#8) | tag */
export function wrapPrivateKey(key: KeyObject, alg: KeyAlgorithm, pkcs8: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(AAD);
  const plain = [Buffer.of(KEY_ALGORITHMS.indexOf(alg)), pkcs8].map((part) => cipher.update(part));
  return Buffer.concat([Buffer.of(WRAP_VERSION), nonce, ...plain, cipher.final(), cipher.getAuthTag()]);
}

/** @throws ProtocolError when the bytes are cut, altered, or sealed under another key. */
export function unwrapPrivateKey(key: KeyObject, wrapped: Buffer): { alg: KeyAlgorithm; pkcs8: Buffer } {
  if (wrapped.length < 1 + NONCE_BYTES + 1 + TAG_BYTES || wrapped[0] !== WRAP_VERSION)
    throw new ProtocolError('Expected a sealed private key of ours');
  const nonce = wrapped.subarray(1, 1 + NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(AAD).setAuthTag(wrapped.subarray(-TAG_BYTES));
  try {
    const plain = Buffer.concat([decipher.update(wrapped.subarray(1 + NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    const alg = KEY_ALGORITHMS[plain[0] ?? -1];
    if (alg === undefined) throw new ProtocolError('Expected a known algorithm on a sealed private key');
    return { alg, pkcs8: plain.subarray(1) };
  } catch (cause) {
    throw cause instanceof ProtocolError ? cause : new ProtocolError('The sealed private key was refused', { cause });
  }
}
