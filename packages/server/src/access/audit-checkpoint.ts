// Signed checkpoints of audit chains: how many lines a tenant's chain has and what its end hashes to, in the note form of
// C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note). The root is the end of a hash
// chain, not of a Merkle tree: whoever checks one reads the whole chain anyway.
import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import type { ChainHead } from './audit-chain.ts';

export interface Checkpoint extends ChainHead {
  tenantId: string;
}

const KEY_NAME = 'lumatrace-audit';
const ORIGIN = 'lumatrace/audit/';
/** PKCS #8 of an Ed25519 private key before its 32-byte seed (RFC 8410 §7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const ED25519 = 0x01;
const KEY_ID_BYTES = 4;
const SIGNATURE_BYTES = 64;
const RAW_KEY_BYTES = 32;
const NOTE =
  /^lumatrace\/audit\/([0-9a-f-]{36})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n\n\u2014 lumatrace-audit ([A-Za-z0-9+/=]{91,92})\n$/;

/** The signing key from 32 secret bytes. */
export function checkpointKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
}

/** PEM (SPKI) of the public half. */
export function publicPem(key: KeyObject): string {
  return createPublicKey(key).export({ format: 'pem', type: 'spki' }) as string;
}

export function writeCheckpoint(key: KeyObject, { tenantId, position, hash }: Checkpoint): string {
  const body = `${ORIGIN}${tenantId}\n${position}\n${Buffer.from(hash, 'hex').toString('base64')}\n`;
  const signature = Buffer.concat([keyId(createPublicKey(key)), sign(null, Buffer.from(body), key)]);
  return `${body}\n\u2014 ${KEY_NAME} ${signature.toString('base64')}\n`;
}

/** @returns undefined for a text that is no checkpoint of this key. */
export function readCheckpoint(key: KeyObject, note: string): Checkpoint | undefined {
  const parts = NOTE.exec(note);
  if (parts === null) return undefined;
  const [, tenantId = '', position = '', root = '', signed = ''] = parts;
  const bytes = Buffer.from(signed, 'base64');
  const body = note.slice(0, note.indexOf('\n\n') + 1);
  // The bits after the last byte of a base64 text are free: another spelling of the same signature is not what was signed.
  const isOurs =
    bytes.toString('base64') === signed &&
    bytes.length === KEY_ID_BYTES + SIGNATURE_BYTES &&
    bytes.subarray(0, KEY_ID_BYTES).equals(keyId(key)) &&
    verify(null, Buffer.from(body), key, bytes.subarray(KEY_ID_BYTES));
  if (!isOurs) return undefined;
  return { tenantId, position: Number(position), hash: Buffer.from(root, 'base64').toString('hex') };
}

/** First four bytes of SHA-256(name ‖ LF ‖ algorithm ‖ key), as signed-note says. */
function keyId(key: KeyObject): Buffer {
  const raw = key.export({ format: 'der', type: 'spki' }).subarray(-RAW_KEY_BYTES);
  return createHash('sha256')
    .update(`${KEY_NAME}\n`)
    .update(Buffer.from([ED25519]))
    .update(raw)
    .digest()
    .subarray(0, KEY_ID_BYTES);
}
