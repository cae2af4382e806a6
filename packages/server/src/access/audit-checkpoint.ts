// Signed checkpoints of audit chains in the form of C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint,
// https://c2sp.org/signed-note): origin, number of lines, Merkle root over them, and as an extension line the end of the
// hash chain. The origin names the tenant; one key signs for all.
import { createPrivateKey, createPublicKey, sign, verify, createHash, type KeyObject } from 'node:crypto';
import {
  checkpointText,
  logOfSpki,
  readCheckpoint as readNote,
  signedNote,
  type LogIdentity,
} from '@lumatrace/provenance/log/checkpoint.ts';
import { LogError } from '@lumatrace/provenance/log/error.ts';
import type { ChainHead } from './audit-chain.ts';

export interface Checkpoint extends ChainHead {
  tenantId: string;
}

const ORIGIN = 'lumatrace/audit/';
const TENANT = /^lumatrace\/audit\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\n/;
const CHAIN = /^(?:[^\n]*\n){3}chain ([A-Za-z0-9+/]{43}=)\n\n/;
/** PKCS #8 of an Ed25519 private key before its 32-byte seed (RFC 8410 §7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The signing key from 32 secret bytes. */
export function checkpointKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
}

/** PEM (SPKI) of the public half. */
export function publicPem(key: KeyObject): string {
  return createPublicKey(key).export({ format: 'pem', type: 'spki' }) as string;
}

export function writeCheckpoint(key: KeyObject, checkpoint: Checkpoint & { root: string }): string {
  const log = logOf(createPublicKey(key), checkpoint.tenantId);
  const tree = checkpointText(log, { size: checkpoint.position, root: Buffer.from(checkpoint.root, 'hex') });
  const text = `${tree}chain ${Buffer.from(checkpoint.hash, 'hex').toString('base64')}\n`;
  return signedNote(log, text, sign(null, Buffer.from(text), key));
}

/** @returns undefined for a text that is no checkpoint of this key. Those from before the tree have no root. */
export function readCheckpoint(key: KeyObject, note: string): Checkpoint | undefined {
  const tenantId = TENANT.exec(note)?.[1];
  if (tenantId === undefined) return undefined;
  const chain = CHAIN.exec(note)?.[1];
  if (chain === undefined) return readChainNote(key, note);
  const hash = Buffer.from(chain, 'base64');
  if (hash.toString('base64') !== chain) return undefined;
  try {
    const { size, root } = readNote(logOf(key, tenantId), note);
    return { tenantId, position: size, hash: hash.toString('hex'), root: Buffer.from(root).toString('hex') };
  } catch (error) {
    if (error instanceof LogError) return undefined;
    throw error;
  }
}

function logOf(key: KeyObject, tenantId: string): LogIdentity {
  const { publicKey } = logOfSpki(key.export({ format: 'der', type: 'spki' }));
  return { origin: `${ORIGIN}${tenantId}`, publicKey };
}

/** A file of checkpoints, one note after the other with an empty line between. */
export function splitNotes(text: string): string[] {
  return text === '' ? [] : text.split(/(?<=\n\n\u2014 [^\n]+\n)\n/);
}

// Notes from before the tree: the root is the end of the hash chain, and the key has a name of its own.
const CHAIN_KEY_NAME = 'lumatrace-audit';
const ED25519 = 0x01;
const KEY_ID_BYTES = 4;
const SIGNATURE_BYTES = 64;
const RAW_KEY_BYTES = 32;
const CHAIN_NOTE =
  /^lumatrace\/audit\/([0-9a-f-]{36})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n\n\u2014 lumatrace-audit ([A-Za-z0-9+/=]{91,92})\n$/;

function readChainNote(key: KeyObject, note: string): Checkpoint | undefined {
  const parts = CHAIN_NOTE.exec(note);
  if (parts === null) return undefined;
  const [, tenantId = '', position = '', root = '', signed = ''] = parts;
  const bytes = Buffer.from(signed, 'base64');
  const body = note.slice(0, note.indexOf('\n\n') + 1);
  // The bits after the last byte of a base64 text are free: another spelling of the same signature is not what was signed.
  const isOurs =
    bytes.toString('base64') === signed &&
    bytes.length === KEY_ID_BYTES + SIGNATURE_BYTES &&
    bytes.subarray(0, KEY_ID_BYTES).equals(chainKeyId(key)) &&
    verify(null, Buffer.from(body), key, bytes.subarray(KEY_ID_BYTES));
  if (!isOurs) return undefined;
  return { tenantId, position: Number(position), hash: Buffer.from(root, 'base64').toString('hex') };
}

/** First four bytes of SHA-256(name ‖ LF ‖ algorithm ‖ key), as signed-note says. */
function chainKeyId(key: KeyObject): Buffer {
  const raw = key.export({ format: 'der', type: 'spki' }).subarray(-RAW_KEY_BYTES);
  return createHash('sha256')
    .update(`${CHAIN_KEY_NAME}\n`)
    .update(Buffer.from([ED25519]))
    .update(raw)
    .digest()
    .subarray(0, KEY_ID_BYTES);
}
