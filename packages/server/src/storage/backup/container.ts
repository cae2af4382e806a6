// The file of a backup: chunks of AES-256-GCM in the STREAM construction, so that cutting, editing or reordering shows.
// Header: magic "LUMABKUP" | version u16 | chunk size u32 | salt 32. Then chunks: ciphertext | tag 16, each full but the last.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** A file that is no backup, was altered, or was made under another key. */
export class BackupRefused extends Error {
  readonly code = 'VALIDATION_FAILED';
}

const MAGIC = Buffer.from('LUMABKUP', 'latin1');
const VERSION = 1;
const CHUNK_BYTES = 256 * 1024;
const MAX_CHUNK_BYTES = 16 * 1024 * 1024;
const SALT_BYTES = 32;
const TAG_BYTES = 16;
const HEADER_BYTES = MAGIC.length + 2 + 4 + SALT_BYTES;
const CIPHER = 'aes-256-gcm';
const PURPOSE = 'lumatrace backup v1';
/** Counters are 32 bits wide here: 2^32 chunks of 256 KiB are 1 PiB. */
const MAX_CHUNKS = 2 ** 32;

/**
 * Encrypts a stream under a key of its own: HKDF-SHA-256 of the KEK with a random salt. Nonce: 7 zero bytes, chunk
 * counter u32, 1 for the last chunk (STREAM of Hoang, Reyhanitabar, Rogaway and Vizár, CRYPTO 2015, as in age). The
 * header is bound to every chunk.
 */
export async function* encrypted(kek: Uint8Array, plain: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const header = newHeader();
  const key = fileKey(kek, header);
  yield header;
  let counter = 0;
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const piece of plain) {
    held.push(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
    heldBytes += piece.byteLength;
    if (heldBytes <= CHUNK_BYTES) continue;
    const all = Buffer.concat(held, heldBytes);
    let from = 0;
    // a full chunk is written only when more is known to come: the last one is marked
    for (; all.length - from > CHUNK_BYTES; from += CHUNK_BYTES) {
      yield seal(key, header, counter++, false, all.subarray(from, from + CHUNK_BYTES));
    }
    held = [all.subarray(from)];
    heldBytes = all.length - from;
  }
  yield seal(key, header, counter, true, Buffer.concat(held, heldBytes));
}

/** Reverses `encrypted`; yields only what was authenticated. @throws BackupRefused */
export async function* decrypted(kek: Uint8Array, sealed: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const source = new Reader(sealed);
  const header = await source.take(HEADER_BYTES);
  const chunkBytes = chunkSizeOf(header);
  const key = fileKey(kek, header);
  for (let counter = 0; ; counter++) {
    const chunk = await source.take(chunkBytes + TAG_BYTES);
    const isLast = await source.isAtEnd();
    yield open(key, header, counter, isLast, chunk);
    if (isLast) return;
  }
}

function newHeader(): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt16BE(VERSION, MAGIC.length);
  header.writeUInt32BE(CHUNK_BYTES, MAGIC.length + 2);
  randomBytes(SALT_BYTES).copy(header, MAGIC.length + 6);
  return header;
}

function chunkSizeOf(header: Buffer): number {
  if (header.length < HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new BackupRefused('This file is no backup of LumaTrace.');
  }
  const version = header.readUInt16BE(MAGIC.length);
  if (version !== VERSION) {
    throw new BackupRefused(`Expected version ${VERSION} of the backup format but received ${version}.`);
  }
  const chunkBytes = header.readUInt32BE(MAGIC.length + 2);
  if (chunkBytes >= 1 && chunkBytes <= MAX_CHUNK_BYTES) return chunkBytes;
  throw new BackupRefused('The header of this backup was altered.');
}

function fileKey(kek: Uint8Array, header: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', kek, header.subarray(MAGIC.length + 6), PURPOSE, 32));
}

function nonceOf(counter: number, isLast: boolean): Buffer {
  if (counter >= MAX_CHUNKS) throw new RangeError('The backup has too many chunks');
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(counter, 7);
  nonce.writeUInt8(isLast ? 1 : 0, 11);
  return nonce;
}

function seal(key: Buffer, header: Buffer, counter: number, isLast: boolean, plain: Buffer): Buffer {
  const cipher = createCipheriv(CIPHER, key, nonceOf(counter, isLast), { authTagLength: TAG_BYTES });
  cipher.setAAD(header);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function open(key: Buffer, header: Buffer, counter: number, isLast: boolean, chunk: Buffer): Buffer {
  const refused = (cause?: unknown): BackupRefused =>
    new BackupRefused(
      counter === 0
        ? 'This backup was made under another key, or was altered.'
        : 'This backup was cut short or altered.',
      { cause },
    );
  if (chunk.length < TAG_BYTES) throw refused();
  const decipher = createDecipheriv(CIPHER, key, nonceOf(counter, isLast), { authTagLength: TAG_BYTES });
  decipher.setAAD(header);
  decipher.setAuthTag(chunk.subarray(chunk.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(chunk.subarray(0, chunk.length - TAG_BYTES)), decipher.final()]);
  } catch (error) {
    throw refused(error);
  }
}

/** Takes exact numbers of bytes from a stream of pieces; holds no more than was asked for and one piece. */
export class Reader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = source[Symbol.asyncIterator]();
  }

  /** The next `bytes` bytes, or fewer at the end. */
  async take(bytes: number): Promise<Buffer> {
    while (this.#heldBytes < bytes && (await this.#more()));
    const all = Buffer.concat(this.#held, this.#heldBytes);
    const taken = all.subarray(0, bytes);
    const rest = all.subarray(taken.length);
    this.#held = rest.length === 0 ? [] : [rest];
    this.#heldBytes = rest.length;
    return taken;
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#heldBytes === 0) if (!(await this.#more())) return true;
    return false;
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#pieces.next();
    if (done === true) return false;
    this.#held.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    this.#heldBytes += value.byteLength;
    return true;
  }
}
