// What is signed about the erasure of a tenant: facts as one line of JSON in a signed note (https://c2sp.org/signed-note)
// under the key that signs checkpoints of the audit log. It is checked offline with the public key alone.
import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { logOfSpki, signedNote, type LogIdentity } from '@lumatrace/provenance/log/checkpoint.ts';

export interface ErasureFacts {
  format: 'lumatrace-erasure-1';
  erasureId: string;
  tenantId: string;
  /** RFC 3339. From this moment nothing of the tenant opens. */
  keysDestroyedAt: string;
  /** The last look found no row of it. */
  finishedAt: string;
  /** 0 is the root of derived keys. */
  keyVersionsDestroyed: number[];
  /** Table → rows. */
  rowsRemoved: Record<string, number>;
  /** What is still there, and why. */
  survives: { what: string; why: string }[];
}

const ORIGIN = 'lumatrace/erasure/';
const NOTE =
  /^(lumatrace\/erasure\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\n(\{[^\n]*\})\n)\n\u2014 \S+ (\S+)\n$/u;
const MAX_CERTIFICATE = 65_536;
const KEY_ID_BYTES = 4;
const SIGNATURE_BYTES = 64;

export function writeCertificate(key: KeyObject, facts: ErasureFacts): string {
  const text = `${ORIGIN}${facts.tenantId}\n${JSON.stringify(facts)}\n`;
  return signedNote(identityOf(createPublicKey(key), facts.tenantId), text, sign(null, Buffer.from(text), key));
}

/** @returns undefined for a text that this key did not sign, in another spelling too. */
export function readCertificate(key: KeyObject, note: string): ErasureFacts | undefined {
  if (note.length > MAX_CERTIFICATE) return undefined;
  const [, text = '', tenantId = '', json = '', signed = ''] = NOTE.exec(note) ?? [];
  const bytes = Buffer.from(signed, 'base64');
  if (bytes.length !== KEY_ID_BYTES + SIGNATURE_BYTES) return undefined;
  const signature = bytes.subarray(KEY_ID_BYTES);
  // written again it must be the same: key id and spelling of the signature included
  if (signedNote(identityOf(key, tenantId), text, signature) !== note) return undefined;
  if (!verify(null, Buffer.from(text), key, signature)) return undefined;
  const facts = JSON.parse(json) as ErasureFacts;
  return facts.tenantId === tenantId && facts.format === 'lumatrace-erasure-1' ? facts : undefined;
}

function identityOf(key: KeyObject, tenantId: string): LogIdentity {
  const { publicKey } = logOfSpki(key.export({ format: 'der', type: 'spki' }));
  return { origin: `${ORIGIN}${tenantId}`, publicKey };
}
