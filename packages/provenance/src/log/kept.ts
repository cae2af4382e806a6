// Which subtrees are kept. Every fourth level is: beside the leaves that adds one hash in fifteen, and a proof over 10^7
// leaves reads at most 16 neighbouring hashes for each of its covers' subtrees, 200 in all, instead of a path that is rewritten
// with every leaf. Keeping all levels doubles the rows for reads that are not measurably faster.
import { nodeHash, type Cover, type Hash, type Subtree } from './tree.ts';

const STRIDE = 4;

/** Neighbouring kept hashes: `count` of level `level` from index `from`; level 0 are the leaves. */
export interface KeptRange {
  readonly level: number;
  readonly from: number;
  readonly count: number;
}

/** Whether a completed subtree is to be written; leaves are kept anyway. */
export const isKept = ({ level }: Subtree): boolean => level > 0 && level % STRIDE === 0;

/** What a subtree's hash is computed from. */
export function keptBelow({ level, index }: Subtree): KeptRange {
  const count = 2 ** (level % STRIDE);
  return { level: level - (level % STRIDE), from: index * count, count };
}

/** The subtree's hash from its kept ones, of which there is a power of two. */
export function foldKept(hashes: readonly Hash[]): Hash {
  let row = hashes;
  while (row.length > 1) row = pairs(row);
  return row[0] as Hash;
}

function pairs(row: readonly Hash[]): Hash[] {
  const above: Hash[] = [];
  for (let i = 0; i + 1 < row.length; i += 2) above.push(nodeHash(row[i] as Hash, row[i + 1] as Hash));
  return above;
}

/** All that plans need, in their order. */
export const rangesOf = (plan: readonly Cover[]): KeptRange[] => plan.flat().map(keptBelow);
