// The Merkle tree over an audit chain (RFC 6962, the tree of packages/provenance/src/log): leaf n is the chained hash of
// line n+1, so that a root binds every line and its order, and one line can be proven without showing the others.
import {
  fold,
  grow,
  inclusionPlan,
  leafHash,
  rootFromInclusion,
  type Cover,
  type Hash,
} from '@lumatrace/provenance/log/tree.ts';
import { foldKept } from '@lumatrace/provenance/log/kept.ts';

/** Leaves that wait for the next fold; folding one by one would compute the plan of the edge for each. */
const MAX_WAITING = 1_024;

/** The right edge of a growing tree: all that is needed to go on, at most 53 hashes. */
export class TreeEdge {
  #size = 0;
  #edge: readonly Hash[] = [];
  #waiting: Hash[] = [];

  /** Lines so far. */
  get size(): number {
    return this.#size + this.#waiting.length;
  }

  /** @param hash of the next line, lower-case hex */
  add(hash: string): void {
    this.#waiting.push(leafHash(Buffer.from(hash, 'hex')));
    if (this.#waiting.length >= MAX_WAITING) this.#take();
  }

  /** Lower-case hex, 64 digits. */
  root(): string {
    this.#take();
    return hex(fold(this.#edge));
  }

  #take(): void {
    if (this.#waiting.length === 0) return;
    this.#edge = grow(this.#size, this.#edge, this.#waiting).edge;
    this.#size += this.#waiting.length;
    this.#waiting = [];
  }
}

const HASH_BYTES = 32;
const FIRST_CAPACITY = 1_024;

/** The hashes of a chain in one growing buffer: 32 bytes a line, where a map of texts would take some 200. */
export class ChainHashes {
  #bytes = Buffer.alloc(FIRST_CAPACITY * HASH_BYTES);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(hash: string): void {
    if ((this.#size + 1) * HASH_BYTES > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    }
    this.#bytes.write(hash, this.#size * HASH_BYTES, 'hex');
    this.#size++;
  }

  /** Of the line at a place from 1; undefined where no line is. */
  at(position: number): string | undefined {
    if (position < 1 || position > this.#size) return undefined;
    return hex(this.#bytes.subarray((position - 1) * HASH_BYTES, position * HASH_BYTES));
  }

  /** The root over the first lines, for each of several sizes; in one pass. */
  rootsAt(sizes: Iterable<number>): Map<number, string> {
    const edge = new TreeEdge();
    const roots = new Map<number, string>();
    for (const size of [...new Set(sizes)].sort((a, b) => a - b)) {
      while (edge.size < Math.min(size, this.#size)) edge.add(this.at(edge.size + 1) as string);
      if (edge.size === size) roots.set(size, edge.root());
    }
    return roots;
  }

  /** Base64 hashes that lead from the line at a place to the root over the first `size` lines. @throws LogError */
  inclusion(position: number, size: number): string[] {
    return inclusionPlan(position - 1, size).map((cover) =>
      Buffer.from(fold(cover.map((subtree) => this.#subtree(subtree)))).toString('base64'),
    );
  }

  #subtree({ level, index }: Cover[number]): Hash {
    const width = 2 ** level;
    const leaves = Array.from({ length: width }, (_, i) =>
      leafHash(Buffer.from(this.at(index * width + i + 1) ?? '', 'hex')),
    );
    return foldKept(leaves);
  }
}

/** The root that a proof leads to from a line's hash, or undefined where it cannot be one. */
export function rootFromLine(
  hash: string,
  { position, size, proof }: { position: number; size: number; proof: readonly Hash[] },
): string | undefined {
  const root = rootFromInclusion(leafHash(Buffer.from(hash, 'hex')), position - 1, size, proof);
  return root === undefined ? undefined : hex(root);
}

/** The root before the first line. */
export const emptyRoot = (): string => hex(fold([]));

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
