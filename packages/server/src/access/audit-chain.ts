// The chain of audit lines: how a line is hashed and keyed, and how a chain is checked. Pure: no I/O, no clock.
// hash = SHA-256(domain ‖ hash before ‖ JCS(line)); mac = HMAC-SHA-256(key of the tenant, hash). The hash can be computed by
// whoever holds an export; the mac only by the installation, so that a rewritten database shows.
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { TreeEdge } from './audit-tree.ts';

/** A line as it is hashed: everything that a reader of the log relies on. */
export interface ChainedLine {
  tenantId: string;
  /** From 1, without gaps. */
  position: number;
  /** RFC 3339, UTC, milliseconds. */
  at: string;
  actor: string;
  action: string;
  object: string;
  outcome: string;
  requestId: string | null;
  detail: unknown;
}

/** A line with its place in the chain sealed; lower-case hex, 64 digits each. */
export interface SealedLine extends ChainedLine {
  hash: string;
  mac: string;
}

/** The end of a chain: how many lines, and the hash of the last. */
export interface ChainHead {
  position: number;
  hash: string;
  /** Of the Merkle tree over the lines so far, hex; checkpoints from before the tree have none. */
  root?: string;
}

export type ChainFault = 'position' | 'tenant' | 'hash' | 'mac' | 'checkpoint' | 'truncated';

export interface ChainFinding {
  fault: ChainFault;
  /** Where the chain first disagrees. */
  position: number;
  because: string;
}

const LINE_DOMAIN = 'lumatrace audit line v1\n';
const KEY_DOMAIN = 'lumatrace audit mac v1';
const KEY_BYTES = 32;

/** The head before the first line, which names the tenant: a chain cannot begin under another one's name. */
export function firstHead(tenantId: string): ChainHead {
  return { position: 0, hash: sha256(`lumatrace audit chain v1\n${tenantId}`).toString('hex') };
}

/** The tenant's key from the installation's secret (RFC 5869). Not the tenant's data key: erasure must not open the chain. */
export function chainKey(secret: Uint8Array, tenantId: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, tenantId, KEY_DOMAIN, KEY_BYTES));
}

export function sealLine(key: Uint8Array, before: string, line: ChainedLine): { hash: Buffer; mac: Buffer } {
  const hash = hashLine(before, line);
  return { hash, mac: createHmac('sha256', key).update(hash).digest() };
}

export function hashLine(before: string, line: ChainedLine): Buffer {
  const { tenantId, position, at, actor, action, object, outcome, requestId, detail } = line;
  const canonical = jcs({ tenantId, position, at, actor, action, object, outcome, requestId, detail });
  return sha256(LINE_DOMAIN, Buffer.from(before, 'hex'), canonical);
}

/**
 * Follows one tenant's chain line by line and names the first disagreement. Without `key` the macs are not looked at:
 * then only checkpoints tell a rewritten chain from the real one.
 */
export class ChainCheck {
  readonly #tenantId: string;
  readonly #key: Uint8Array | undefined;
  readonly #checkpoints: Map<number, ChainHead>;
  /** Grown only where a root is to be compared. */
  readonly #tree: TreeEdge | undefined;
  readonly #last: ChainHead | undefined;
  #head: ChainHead;
  #finding: ChainFinding | undefined;

  constructor(tenantId: string, options: { key?: Uint8Array; checkpoints?: readonly ChainHead[] } = {}) {
    this.#tenantId = tenantId;
    this.#key = options.key;
    const checkpoints = [...(options.checkpoints ?? [])].sort((a, b) => a.position - b.position);
    this.#checkpoints = new Map(checkpoints.map((checkpoint) => [checkpoint.position, checkpoint]));
    this.#tree = checkpoints.some(({ root }) => root !== undefined) ? new TreeEdge() : undefined;
    this.#last = checkpoints.at(-1);
    this.#head = firstHead(tenantId);
    const contrary = checkpoints.find((checkpoint) =>
      isContrary(checkpoint, this.#checkpoints.get(checkpoint.position)),
    );
    if (contrary !== undefined) this.#fail('checkpoint', contrary.position, 'Two checkpoints of one place differ.');
  }

  get head(): ChainHead {
    return this.#head;
  }

  /** @returns whether the chain still holds. */
  add(line: SealedLine): boolean {
    if (this.#finding !== undefined) return false;
    const expected = this.#head.position + 1;
    if (line.tenantId !== this.#tenantId) return this.#fail('tenant', expected, 'A line of another tenant.');
    if (line.position !== expected) {
      return this.#fail('position', expected, `Expected line ${expected} but received ${line.position}.`);
    }
    const hash = hashLine(this.#head.hash, line);
    if (!sameHex(line.hash, hash)) return this.#fail('hash', expected, 'The line or one before it was changed.');
    if (this.#key !== undefined && !sameHex(line.mac, createHmac('sha256', this.#key).update(hash).digest())) {
      return this.#fail('mac', expected, 'The line was not written by this installation.');
    }
    const signed = this.#checkpoints.get(expected);
    if (signed !== undefined && signed.hash !== line.hash) {
      return this.#fail('checkpoint', expected, 'A signed checkpoint says another hash.');
    }
    this.#tree?.add(line.hash);
    if (signed?.root !== undefined && signed.root !== this.#tree?.root()) {
      return this.#fail('checkpoint', expected, 'A signed checkpoint says another root.');
    }
    this.#head = { position: expected, hash: line.hash };
    return true;
  }

  /** After the last line: the first disagreement, or undefined when the chain holds and reaches every checkpoint. */
  finish(): ChainFinding | undefined {
    if (this.#finding === undefined && this.#last !== undefined && this.#last.position > this.#head.position) {
      const because = `A signed checkpoint counts ${this.#last.position} lines, here are ${this.#head.position}.`;
      this.#fail('truncated', this.#head.position + 1, because);
    }
    return this.#finding;
  }

  #fail(fault: ChainFault, position: number, because: string): false {
    this.#finding ??= { fault, position, because };
    return false;
  }
}

/** Whether two checkpoints of one place cannot both be true. */
function isContrary(a: ChainHead, b: ChainHead | undefined): boolean {
  if (b === undefined) return false;
  return a.hash !== b.hash || (a.root !== undefined && b.root !== undefined && a.root !== b.root);
}

/** Checkpoints in the order in which they were written: each counts more than the one before, or the log was put back. */
export function firstShrunk(checkpoints: readonly ChainHead[]): ChainFinding | undefined {
  const at = checkpoints.findIndex(({ position }, i) => position <= (checkpoints[i - 1]?.position ?? -1));
  const shrunk = checkpoints[at];
  if (shrunk === undefined) return undefined;
  const because = `Checkpoint ${at + 1} counts ${shrunk.position} lines, not more than the one before.`;
  return { fault: 'checkpoint', position: shrunk.position, because };
}

/** Canonical JSON (RFC 8785) of values that JSON knows; members in the order of their UTF-16 code units. */
export function jcs(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jcs).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${jcs(member)}`).join(',')}}`;
}

function sameHex(hex: string, bytes: Buffer): boolean {
  const other = Buffer.from(hex, 'hex');
  return hex.length === 2 * bytes.length && other.length === bytes.length && timingSafeEqual(other, bytes);
}

function sha256(...parts: ReadonlyArray<string | Uint8Array>): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
