// The proof of one audit line, for an auditor who may see no other: the line, the hash before it, a signed checkpoint, and
// the path from the line to the checkpoint's Merkle root. Checked offline with the public key alone.
import { hashLine, type ChainedLine } from './audit-chain.ts';
import { ExportRefused, keyFrom } from './audit-export.ts';
import { readCheckpoint } from './audit-checkpoint.ts';
import { rootFromLine } from './audit-tree.ts';

export const PROOF_FORMAT = 'lumatrace-audit-line/1';

export interface LineProof {
  format: typeof PROOF_FORMAT;
  /** PEM, for information: whoever checks trusts a copy of his own. */
  publicKey: string;
  line: ChainedLine & { hash: string };
  /** Hash of the line before, or of the beginning; hex. */
  before: string;
  /** The signed note. */
  checkpoint: string;
  /** Base64, from the leaf up. */
  proof: string[];
}

export interface LineVerdict {
  tenantId: string;
  position: number;
  /** Lines that the checkpoint counts. */
  size: number;
  /** undefined: the line was among them, as it stands here. */
  because: string | undefined;
}

const HEX = /^[0-9a-f]{64}$/;
const MAX_PROOF_HASHES = 64;
const TEXTS = ['tenantId', 'at', 'actor', 'action', 'object', 'outcome', 'hash'] as const;

/** @param key PEM that the reader trusts; without it the one in the file is believed. @throws ExportRefused for what is no proof */
export function verifyLine(text: string, { key }: { key?: string } = {}): LineVerdict {
  const { publicKey, line, before, checkpoint: note, proof } = proofOf(text);
  const { tenantId, position } = line;
  const checkpoint = readCheckpoint(keyFrom(key ?? publicKey), note);
  if (checkpoint?.tenantId !== tenantId || checkpoint.root === undefined)
    throw new ExportRefused('The checkpoint of the proof is not signed by this key for this tenant.');
  const hash = hashLine(before, line).toString('hex');
  const path = { position, size: checkpoint.position, proof: proof.map((each) => Buffer.from(each, 'base64')) };
  const verdict = { tenantId, position, size: checkpoint.position };
  if (hash !== line.hash) return { ...verdict, because: 'The line was changed.' };
  if (rootFromLine(hash, path) !== checkpoint.root)
    return { ...verdict, because: 'The line is not among those that the checkpoint counts.' };
  return { ...verdict, because: undefined };
}

function proofOf(text: string): LineProof {
  const value = parsed(text) as Partial<LineProof> & { line?: Record<string, unknown> };
  const { line, before, proof } = value;
  const isOne =
    value.format === PROOF_FORMAT &&
    typeof value.publicKey === 'string' &&
    typeof value.checkpoint === 'string' &&
    typeof before === 'string' &&
    HEX.test(before) &&
    typeof line === 'object' &&
    line !== null &&
    TEXTS.every((name) => typeof line[name] === 'string') &&
    (line.requestId === null || typeof line.requestId === 'string') &&
    Number.isSafeInteger(line.position) &&
    Array.isArray(proof) &&
    proof.length <= MAX_PROOF_HASHES &&
    proof.every((each) => typeof each === 'string');
  if (!isOne) throw new ExportRefused(`Expected a proof of the format ${PROOF_FORMAT}.`);
  return value as LineProof;
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // said below
  }
  throw new ExportRefused(`Expected a proof of the format ${PROOF_FORMAT}.`);
}
