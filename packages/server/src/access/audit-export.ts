// Checks an exported audit log without the installation: hashes and signed checkpoints, with the public key alone.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { ChainCheck, firstShrunk, type ChainFinding, type SealedLine } from './audit-chain.ts';
import { readCheckpoint, type Checkpoint } from './audit-checkpoint.ts';
import { ChainHashes } from './audit-tree.ts';

export const EXPORT_FORMAT = 'lumatrace-audit/1';

export interface ExportVerdict {
  tenantId: string;
  lines: number;
  /** Signatures that were checked, the end of the file included. */
  checkpoints: number;
  finding: ChainFinding | undefined;
}

/** Why a file is no export, or no whole one; a finding about the chain in it is an ExportVerdict instead. */
export class ExportRefused extends Error {
  readonly code = 'VALIDATION_FAILED';
}

type Member = Record<string, unknown>;

/**
 * Lines come one by one, so a file larger than the memory can be checked.
 * @param key PEM of the public key that the reader trusts; without it the one in the file is believed, which shows
 *   accidents and careless edits but not somebody who signed a file of his own.
 * @throws ExportRefused
 */
export async function verifyExport(
  lines: AsyncIterable<string> | Iterable<string>,
  { key, checkpoints: trusted = [] }: { key?: string; checkpoints?: readonly string[] } = {},
): Promise<ExportVerdict> {
  const reader = (Symbol.asyncIterator in lines ? lines[Symbol.asyncIterator]() : lines[Symbol.iterator]()) as
    AsyncIterator<string> | Iterator<string>;
  const first = await reader.next();
  if (first.done === true) throw new ExportRefused('Expected an exported audit log but received an empty file.');
  const header = parsed(first.value, 1);
  if (header['type'] !== 'audit' || header['format'] !== EXPORT_FORMAT) {
    throw new ExportRefused(`Expected a file that begins with the format ${EXPORT_FORMAT}.`);
  }
  const tenantId = text(header, 'tenantId', 1);
  const publicKey = keyFrom(key ?? text(header, 'publicKey', 1));
  const check = new ChainCheck(tenantId);
  const hashes = new ChainHashes();
  const kept: Checkpoint[] = trusted.map((note, i) => checkpointOf(publicKey, note, tenantId, i + 1));
  const signed: Checkpoint[] = [];
  let hasEnded = false;
  for (let at = 2; ; at++) {
    const next = await reader.next();
    if (next.done === true) break;
    if (next.value === '') continue;
    const member = parsed(next.value, at);
    if (hasEnded) throw new ExportRefused(`Expected nothing after the end but received line ${at}.`);
    if (member['type'] === 'line') {
      if (check.add(sealed(member, at))) hashes.push(check.head.hash);
    } else if (member['type'] === 'checkpoint' || member['type'] === 'end') {
      signed.push(checkpointOf(publicKey, text(member, 'note', at), tenantId, at));
      hasEnded = member['type'] === 'end';
    } else throw new ExportRefused(`Expected a line, a checkpoint or the end in line ${at}.`);
  }
  if (!hasEnded) throw new ExportRefused('The file was cut: its end is missing.');
  const end = check.head;
  const finding = check.finish() ?? contradiction(kept, signed, hashes);
  return { tenantId, lines: end.position, checkpoints: kept.length + signed.length, finding };
}

/** @param signed of the file, the end last. */
function contradiction(
  kept: readonly Checkpoint[],
  signed: readonly Checkpoint[],
  hashes: ChainHashes,
): ChainFinding | undefined {
  const all = [...kept, ...signed];
  const lines = hashes.size;
  const roots = hashes.rootsAt(all.map(({ position }) => position));
  const bad = all.find(
    ({ position, hash, root }) =>
      (position > 0 && hashes.at(position) !== hash) || (root !== undefined && roots.get(position) !== root),
  );
  if (bad !== undefined) return findingAt(bad, hashes);
  const shrunk = firstShrunk(kept) ?? firstShrunk(signed.slice(0, -1));
  if (shrunk !== undefined) return shrunk;
  // the end counts all lines: one more was put after it was signed
  if (signed.at(-1)?.position === lines) return undefined;
  return { fault: 'checkpoint', position: lines, because: 'The end of the file counts other lines.' } as const;
}

function findingAt({ position, hash }: Checkpoint, hashes: ChainHashes): ChainFinding {
  const lines = hashes.size;
  const what = hashes.at(position) === hash ? 'root' : 'hash';
  if (position <= lines) return { fault: 'checkpoint', position, because: `A signed checkpoint says another ${what}.` };
  const because = `A signed checkpoint counts ${position} lines, here are ${lines}.`;
  return { fault: 'truncated', position: lines + 1, because };
}

function checkpointOf(key: KeyObject, note: string, tenantId: string, at: number): Checkpoint {
  const checkpoint = readCheckpoint(key, note);
  if (checkpoint?.tenantId !== tenantId) {
    throw new ExportRefused(`The checkpoint in line ${at} is not signed by this key for this tenant.`);
  }
  return checkpoint as Checkpoint;
}

function sealed(member: Member, at: number): SealedLine {
  const position = member['position'];
  if (typeof position !== 'number') throw new ExportRefused(`Expected a position in line ${at}.`);
  const requestId = member['requestId'] === null ? null : text(member, 'requestId', at);
  const [tenantId, when, actor, action, object, outcome, hash, mac] = [
    text(member, 'tenantId', at),
    text(member, 'at', at),
    text(member, 'actor', at),
    text(member, 'action', at),
    text(member, 'object', at),
    text(member, 'outcome', at),
    text(member, 'hash', at),
    text(member, 'mac', at),
  ];
  const detail = member['detail'];
  return { tenantId, position, at: when, actor, action, object, outcome, requestId, detail, hash, mac };
}

function parsed(line: string, at: number): Member {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Member;
  } catch {
    // said below
  }
  throw new ExportRefused(`Expected one JSON object in line ${at}.`);
}

function text(member: Member, name: string, at: number): string {
  const value = member[name];
  if (typeof value === 'string') return value;
  throw new ExportRefused(`Expected a text for ${name} in line ${at}.`);
}

export function keyFrom(pem: string): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // said below
  }
  throw new ExportRefused('Expected an Ed25519 public key in PEM.');
}
