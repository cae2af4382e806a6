// What somebody is given for an entry of the log, and the check of it without network or account: the entry hashes to the
// leaf, the proof leads from the leaf to the root, the log signed that root, and the entry speaks of this very file.
import { ownFinding, type Finding, type OwnCode, type Severity } from '../findings.ts';
import { bytesOf, readCheckpoint, type LogIdentity } from './checkpoint.ts';
import { LogError } from './error.ts';
import { HASH_BYTES, isSame, leafHash, MAX_PROOF_HASHES, rootFromInclusion, type Hash } from './tree.ts';

export const ENTRY_TYPE = 'org.lumatrace.log-entry.v1';
export const RECEIPT_TYPE = 'org.lumatrace.log-receipt.v1';

/** What a leaf is the hash of. Its JSON text is the leaf's bytes: kept as it was written, never written anew. */
export interface LogEntry {
  type: typeof ENTRY_TYPE;
  /** Room and verb, as in the audit log: `photo.protect`. */
  action: string;
  /** ISO 8601 in UTC. */
  at: string;
  tenantId: string;
  /** What it was done to: `photo:<uuid>`. */
  object: string;
  /** SHA-256 in hex by role: `content` before protection, `output` the protected file, `manifest`, `key`. */
  sha256: Readonly<Record<string, string>>;
  /** 128 random bits in hex: nobody can try out which file a leaf stands for. */
  nonce: string;
}

/** What comes at once; the other members when the log has taken the entry in. */
export interface Receipt {
  type: typeof RECEIPT_TYPE;
  /** The log's, as in its checkpoints. */
  origin: string;
  /** Hex. */
  leafHash: string;
  /** JSON text of a LogEntry. */
  entry: string;
  leafIndex?: number;
  /** Signed note. */
  checkpoint?: string;
  /** Inclusion proof in the checkpoint's tree: hashes in base64, the leaf's neighbour first. */
  proof?: readonly string[];
}

export interface ReceiptCheck {
  /** `unknown`: nothing speaks against it, but the log's key or the proof is missing. */
  verdict: 'included' | 'refused' | 'unknown';
  entry: LogEntry | null;
  findings: Finding[];
}

const MAX_ENTRY_LENGTH = 16_384;
const HEX_HASH = /^[0-9a-f]{64}$/;

/**
 * @param log the log's identity from a source that is trusted; null when it is not at hand
 * @param fileSha256 hex; the file must be one that the entry names. null: only the receipt is checked
 */
export function checkReceipt(receipt: unknown, log: LogIdentity | null, fileSha256: string | null): ReceiptCheck {
  if (!isReceipt(receipt)) return concluded(null, [finding('receiptMalformed', 'failure')]);
  const entry = entryOf(receipt);
  if (entry === null) return concluded(null, [finding('entryMismatch', 'failure')]);
  const findings = fileSha256 === null ? [] : [fileFinding(entry, fileSha256)];
  if (log !== null && log.origin !== receipt.origin) findings.push(finding('checkpointUntrusted', 'failure'));
  else findings.push(inclusionFinding(receipt, log));
  return concluded(entry, findings);
}

function concluded(entry: LogEntry | null, findings: Finding[]): ReceiptCheck {
  if (findings.some(({ severity }) => severity === 'failure')) return { verdict: 'refused', entry, findings };
  const isIncluded = findings.some(({ code }) => code === 'org.lumatrace.log.included');
  return { verdict: isIncluded ? 'included' : 'unknown', entry, findings };
}

type Named<Code> = Code extends `org.lumatrace.log.${infer Name}` ? Name : never;
const finding = (name: Named<OwnCode>, severity: Severity, evidence?: Finding['evidence']): Finding =>
  ownFinding(`org.lumatrace.log.${name}`, severity, 'log', evidence);

function fileFinding({ sha256 }: LogEntry, fileSha256: string): Finding {
  const role = Object.keys(sha256).find((name) => sha256[name] === fileSha256);
  return role === undefined ? finding('fileDiffers', 'failure') : finding('fileMatches', 'success', { role });
}

function inclusionFinding({ leafHash: leaf, leafIndex, checkpoint, proof }: Receipt, log: LogIdentity | null): Finding {
  if (leafIndex === undefined || checkpoint === undefined || proof === undefined) return finding('pending', 'info');
  if (log === null) return finding('keyMissing', 'info');
  try {
    const { size, root } = readCheckpoint(log, checkpoint);
    const reached = rootFromInclusion(Buffer.from(leaf, 'hex'), leafIndex, size, hashesOf(proof));
    return reached !== undefined && isSame(reached, root)
      ? finding('included', 'success', { leafIndex, treeSize: size })
      : finding('proofFails', 'failure', { leafIndex, treeSize: size });
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    return error.code === 'UNTRUSTED'
      ? finding('checkpointUntrusted', 'failure')
      : finding('receiptMalformed', 'failure');
  }
}

/** Hashes of a proof as it is sent. @throws LogError MALFORMED */
export function hashesOf(proof: readonly string[]): Hash[] {
  return proof.map((base64) => {
    const hash = bytesOf(base64);
    if (hash?.length !== HASH_BYTES) throw new LogError('MALFORMED', 'Expected hashes of 32 bytes in a proof.');
    return hash;
  });
}

/** Null when the text is not what the leaf is the hash of, or no entry. */
function entryOf({ entry, leafHash: leaf }: Receipt): LogEntry | null {
  if (Buffer.from(leafHash(Buffer.from(entry))).toString('hex') !== leaf) return null;
  try {
    const read: unknown = JSON.parse(entry);
    return isEntry(read) ? read : null;
  } catch {
    return null;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isEntry(value: unknown): value is LogEntry {
  return (
    isObject(value) &&
    value['type'] === ENTRY_TYPE &&
    ['action', 'at', 'tenantId', 'object', 'nonce'].every((name) => typeof value[name] === 'string') &&
    isObject(value['sha256']) &&
    Object.values(value['sha256']).every((hash) => typeof hash === 'string' && HEX_HASH.test(hash))
  );
}

function isReceipt(value: unknown): value is Receipt {
  if (!isObject(value) || value['type'] !== RECEIPT_TYPE) return false;
  const { origin, leafHash: leaf, entry, leafIndex, checkpoint, proof } = value;
  return (
    typeof origin === 'string' &&
    typeof leaf === 'string' &&
    HEX_HASH.test(leaf) &&
    typeof entry === 'string' &&
    entry.length <= MAX_ENTRY_LENGTH &&
    (leafIndex === undefined || (Number.isSafeInteger(leafIndex) && (leafIndex as number) >= 0)) &&
    (checkpoint === undefined || typeof checkpoint === 'string') &&
    (proof === undefined || isProof(proof))
  );
}

const isProof = (value: unknown): boolean =>
  Array.isArray(value) && value.length <= MAX_PROOF_HASHES && value.every((hash) => typeof hash === 'string');
