// Checkpoints of the log: size and root of its tree as a signed note (c2sp.org/tlog-checkpoint, c2sp.org/signed-note).
// The origin is made from the key, so that one PEM is all that somebody needs who checks.
import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { LogError } from './error.ts';
import { HASH_BYTES, type Hash } from './tree.ts';

export interface Checkpoint {
  /** Number of leaves. */
  readonly size: number;
  readonly root: Hash;
}

/** A log as it is known to others: by its Ed25519 key and the name that stands in every checkpoint. */
export interface LogIdentity {
  readonly origin: string;
  /** 32 bytes (RFC 8032). */
  readonly publicKey: Uint8Array;
}

const ORIGIN_PREFIX = 'lumatrace/log/';
const ORIGIN_HEX = 32;
const ED25519 = 0x01;
const KEY_BYTES = 32;
const KEY_ID_BYTES = 4;
const SIGNATURE_BYTES = 64;
/** SubjectPublicKeyInfo of an Ed25519 key before its 32 bytes (RFC 8410 §4). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const MAX_NOTE_LENGTH = 65_536;
const MAX_SIGNATURES = 16;
const SIGNATURE_LINE = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u;
const SIZE = /^(?:0|[1-9][0-9]{0,15})$/;

/** @throws LogError MALFORMED for a text that is no Ed25519 public key in PEM. */
export function logOfPem(pem: string): LogIdentity {
  let der: Buffer;
  try {
    der = createPublicKey(pem).export({ format: 'der', type: 'spki' });
  } catch (cause) {
    throw new LogError('MALFORMED', 'Expected the public key of a log in PEM.', { cause });
  }
  return logOfSpki(der);
}

/** @throws LogError MALFORMED */
export function logOfSpki(der: Uint8Array): LogIdentity {
  const isEd25519 =
    der.length === SPKI_PREFIX.length + KEY_BYTES && SPKI_PREFIX.equals(der.subarray(0, SPKI_PREFIX.length));
  if (!isEd25519) throw new LogError('MALFORMED', 'Expected an Ed25519 key for a log.');
  const publicKey = der.slice(SPKI_PREFIX.length);
  const digest = createHash('sha256').update(publicKey).digest('hex');
  return { origin: `${ORIGIN_PREFIX}${digest.slice(0, ORIGIN_HEX)}`, publicKey };
}

export const pemOf = (log: LogIdentity): string => keyOf(log).export({ format: 'pem', type: 'spki' }).toString();

/** The one-line form of signed-note, which other tools take: origin, key id and key. */
export function verifierKey({ origin, publicKey }: LogIdentity): string {
  const id = keyId({ origin, publicKey }).toString('hex');
  return `${origin}+${id}+${Buffer.concat([Buffer.of(ED25519), publicKey]).toString('base64')}`;
}

function keyOf({ publicKey }: LogIdentity): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
}

/** First four bytes of SHA-256(name ‖ LF ‖ algorithm ‖ key), as signed-note says. */
function keyId({ origin, publicKey }: LogIdentity): Buffer {
  const hash = createHash('sha256').update(`${origin}\n`).update(Buffer.of(ED25519)).update(publicKey);
  return hash.digest().subarray(0, KEY_ID_BYTES);
}

/** What is signed. */
export function checkpointText({ origin }: LogIdentity, { size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;
}

/** The note of a text that was signed with Ed25519. */
export function signedNote(log: LogIdentity, text: string, signature: Uint8Array): string {
  const signed = Buffer.concat([keyId(log), signature]).toString('base64');
  return `${text}\n\u2014 ${log.origin} ${signed}\n`;
}

/**
 * Reads a checkpoint that the log signed. Further lines of the text and signatures of others (witnesses) may stand there.
 * @throws LogError MALFORMED, UNTRUSTED
 */
export function readCheckpoint(log: LogIdentity, note: string): Checkpoint {
  const end = note.lastIndexOf('\n\n');
  if (note.length > MAX_NOTE_LENGTH || end < 0 || !note.endsWith('\n')) throw malformed('a signed note');
  const text = note.slice(0, end + 1);
  const [origin, size = '', root = ''] = text.split('\n');
  if (origin !== log.origin) throw new LogError('UNTRUSTED', 'The checkpoint is of another log.');
  const hash = bytesOf(root);
  if (!SIZE.test(size) || !Number.isSafeInteger(Number(size)) || hash?.length !== HASH_BYTES)
    throw malformed('a size and a root');
  requireSignature(log, text, note.slice(end + 2, -1).split('\n'));
  return { size: Number(size), root: hash };
}

function requireSignature(log: LogIdentity, text: string, lines: readonly string[]): void {
  if (lines.length > MAX_SIGNATURES) throw malformed(`at most ${MAX_SIGNATURES} signatures`);
  const signatures = lines.map((line) => {
    const [, name, base64 = ''] = SIGNATURE_LINE.exec(line) ?? [];
    const bytes = bytesOf(base64);
    if (name === undefined || bytes === undefined) throw malformed('signature lines');
    return { name, bytes };
  });
  const id = keyId(log);
  const ours = signatures.filter(
    ({ name, bytes }) => name === log.origin && id.equals(bytes.subarray(0, KEY_ID_BYTES)),
  );
  const [only, ...more] = ours;
  const isOurs =
    only?.bytes.length === KEY_ID_BYTES + SIGNATURE_BYTES &&
    more.length === 0 &&
    verify(null, Buffer.from(text), keyOf(log), only.bytes.subarray(KEY_ID_BYTES));
  if (!isOurs) throw new LogError('UNTRUSTED', 'The checkpoint is not signed by this log.');
}

/** Base64 in its one right spelling. */
export function bytesOf(base64: string): Buffer | undefined {
  const bytes = Buffer.from(base64, 'base64');
  return bytes.length > 0 && bytes.toString('base64') === base64 ? bytes : undefined;
}

const malformed = (what: string): LogError => new LogError('MALFORMED', `Expected ${what} in a checkpoint.`);
