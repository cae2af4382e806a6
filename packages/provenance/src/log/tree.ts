// The Merkle tree of the log (RFC 6962 §2.1, RFC 9162 §2.1): which subtrees a root or a proof is made of, and how proofs
// are checked. Plans are pure; whoever keeps hashes reads exactly those that a plan names. Sizes and indexes are whole
// numbers up to 2^53, computed without the 32-bit operators.
import { createHash } from 'node:crypto';
import { LogError } from './error.ts';

/** SHA-256 of a leaf or an inner node, 32 bytes. */
export type Hash = Uint8Array;

/** A complete subtree: leaves index·2^level up to, and without, (index + 1)·2^level. */
export interface Subtree {
  readonly level: number;
  readonly index: number;
}

/** Subtrees from left to right whose hashes fold to one. */
export type Cover = readonly Subtree[];

export interface HashedSubtree extends Subtree {
  readonly hash: Hash;
}

export const HASH_BYTES = 32;
/** More hashes than this no proof of a tree below 2^53 leaves has. */
export const MAX_PROOF_HASHES = 64;
const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

export const EMPTY_ROOT: Hash = createHash('sha256').digest();

export function leafHash(entry: Uint8Array): Hash {
  return createHash('sha256').update(LEAF).update(entry).digest();
}

export function nodeHash(left: Hash, right: Hash): Hash {
  return createHash('sha256').update(NODE).update(left).update(right).digest();
}

/** The largest power of two below `size`; `size` is at least 2. */
function split(size: number): number {
  let k = 1;
  while (k * 2 < size) k *= 2;
  return k;
}

/** The complete subtrees of the tree over leaves from…to, the largest first; `from` is where such a tree can begin. */
function cover(from: number, to: number): Cover {
  const subtrees: Subtree[] = [];
  for (let at = from; at < to;) {
    let level = 0;
    let width = 1;
    while (at + width * 2 <= to) {
      width *= 2;
      level++;
    }
    subtrees.push({ level, index: at / width });
    at += width;
  }
  return subtrees;
}

/** What the root of the first `size` leaves is folded from; empty for the empty tree. */
export const rootPlan = (size: number): Cover => cover(0, size);

/** One cover per hash of the proof that leaf `index` is among the first `size` (RFC 6962 §2.1.1). @throws LogError */
export function inclusionPlan(index: number, size: number): Cover[] {
  if (!isCount(size) || !isCount(index) || index >= size) throw new LogError('OUT_OF_RANGE', outside(index, size));
  const plan: Cover[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + split(to - from);
    plan.push(index < middle ? cover(middle, to) : cover(from, middle));
    if (index < middle) to = middle;
    else from = middle;
  }
  return plan.reverse();
}

/** One cover per hash of the proof that the first `first` of `size` leaves were there before (§2.1.2). @throws LogError */
export function consistencyPlan(first: number, size: number): Cover[] {
  if (!isCount(size) || !isCount(first) || first < 1 || first > size)
    throw new LogError('OUT_OF_RANGE', outside(first, size));
  const plan: Cover[] = [];
  let [from, to] = [0, size];
  while (to > first) {
    const middle = from + split(to - from);
    plan.push(first <= middle ? cover(middle, to) : cover(from, middle));
    if (first <= middle) to = middle;
    else from = middle;
  }
  // the old tree is a left edge of the new one, so its root is known to whoever checks
  if (from > 0) plan.push(cover(from, to));
  return plan.reverse();
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
const outside = (place: number, size: number): string =>
  `Expected a place within ${size} leaves but received ${place}.`;

/** The hash over a cover, from the hashes of its subtrees. */
export function fold(hashes: readonly Hash[]): Hash {
  const last = hashes.at(-1);
  return last === undefined
    ? EMPTY_ROOT
    : hashes.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last);
}

/**
 * Appends leaves to a tree of `size` leaves, which is known by the hashes of its root plan.
 * @returns the same of the larger tree, and every subtree that became complete, leaves without
 */
export function grow(
  size: number,
  edge: readonly Hash[],
  leaves: readonly Hash[],
): { edge: Hash[]; completed: HashedSubtree[] } {
  const stack: HashedSubtree[] = rootPlan(size).map((subtree, i) => ({ ...subtree, hash: edge[i] as Hash }));
  const completed: HashedSubtree[] = [];
  leaves.forEach((hash, i) => {
    let made: HashedSubtree = { level: 0, index: size + i, hash };
    for (let left = stack.at(-1); left?.level === made.level; left = stack.at(-1)) {
      stack.pop();
      made = { level: made.level + 1, index: left.index / 2, hash: nodeHash(left.hash, made.hash) };
      completed.push(made);
    }
    stack.push(made);
  });
  return { edge: stack.map(({ hash }) => hash), completed };
}

/** The root that an inclusion proof leads to (RFC 9162 §2.1.3.2), or undefined where it cannot be one. */
export function rootFromInclusion(leaf: Hash, index: number, size: number, proof: readonly Hash[]): Hash | undefined {
  if (!isCount(index) || !isCount(size) || index >= size) return undefined;
  let [fn, sn, root] = [index, size - 1, leaf];
  for (const hash of proof) {
    if (sn === 0) return undefined;
    if (fn % 2 === 1 || fn === sn) {
      root = nodeHash(hash, root);
      for (; fn % 2 === 0 && fn !== 0; fn /= 2) sn = Math.floor(sn / 2);
    } else root = nodeHash(root, hash);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 ? root : undefined;
}

/** Whether a tree of `second` leaves goes on from one of `first` (RFC 9162 §2.1.4.2). */
export function isConsistent(
  first: { size: number; root: Hash },
  second: { size: number; root: Hash },
  proof: readonly Hash[],
): boolean {
  if (!isCount(first.size) || !isCount(second.size) || first.size > second.size) return false;
  // nothing can be said against having been empty, and a tree agrees with itself
  if (first.size === 0) return proof.length === 0 && isSame(first.root, EMPTY_ROOT);
  if (first.size === second.size) return proof.length === 0 && isSame(first.root, second.root);
  const isPerfect = rootPlan(first.size).length === 1;
  const path = isPerfect ? [first.root, ...proof] : proof;
  const [start, ...rest] = path;
  if (start === undefined) return false;
  let [fn, sn] = [first.size - 1, second.size - 1];
  for (; fn % 2 === 1; fn = Math.floor(fn / 2)) sn = Math.floor(sn / 2);
  let [old, now] = [start, start];
  for (const hash of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      old = nodeHash(hash, old);
      now = nodeHash(hash, now);
      for (; fn % 2 === 0 && fn !== 0; fn /= 2) sn = Math.floor(sn / 2);
    } else now = nodeHash(now, hash);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && isSame(old, first.root) && isSame(now, second.root);
}

export const isSame = (a: Hash, b: Hash): boolean => Buffer.compare(a, b) === 0;
