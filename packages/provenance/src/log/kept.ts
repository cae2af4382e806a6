// Which subtrees are kept. Every fourth level is: beside the leaves that adds one hash in fifteen, written once when its
// subtree is complete, and a subtree between two kept levels is folded from at most 8 neighbours. Keeping every level would
// double the rows of the log; none, and a proof would read all leaves.
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
