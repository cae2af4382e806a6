// What everybody may ask the log: its newest checkpoint, its leaves, and proofs. Hashes and places only.
import { LogError } from '@lumatrace/provenance/log/error.ts';
import { foldKept, rangesOf } from '@lumatrace/provenance/log/kept.ts';
import { consistencyPlan, fold, inclusionPlan, type Cover, type Hash } from '@lumatrace/provenance/log/tree.ts';
import type { Database, Sql } from '../storage/database.ts';
import {
  findLeaf,
  newestCheckpoint,
  readLeaves,
  readRanges,
  type CheckpointRow,
} from '../storage/postgres/transparency.ts';

export interface Inclusion {
  leafIndex: number;
  treeSize: number;
  /** Of that size; a signed note. Null when an older size was asked for, whose checkpoint the asker has. */
  checkpoint: string | null;
  /** Base64, the leaf's neighbour first. */
  proof: string[];
}

export interface Proofs {
  checkpoint(): Promise<CheckpointRow>;
  /** Hashes of leaves from a place on, within what is signed. */
  leaves(from: number, limit: number): Promise<{ treeSize: number; leaves: Buffer[] }>;
  /** Undefined for a leaf that no checkpoint covers (yet). */
  inclusionOf(leafHash: Uint8Array): Promise<SignedInclusion | undefined>;
  /** @throws LogError OUT_OF_RANGE for a place or a size that is not signed. */
  inclusionAt(leafIndex: number, size: number | null): Promise<Inclusion>;
  /** That the tree of `first` leaves is the beginning of that of `second`. @throws LogError OUT_OF_RANGE */
  consistency(first: number, second: number | null): Promise<{ first: number; second: number; proof: string[] }>;
}

export type SignedInclusion = Inclusion & { checkpoint: string };

/** The log is read outside of tenants: no row of it belongs to one. */
const PUBLIC = 'log';

export function createProofs(database: Database): Proofs {
  const reading = <T>(work: (sql: Sql, newest: CheckpointRow) => Promise<T>): Promise<T> =>
    database.inLookup(PUBLIC, async (sql) => {
      const newest = await newestCheckpoint(sql);
      if (newest === undefined) throw new Error('The transparency log has no checkpoint.');
      return work(sql, newest);
    });
  return {
    checkpoint: () => reading(async (_sql, newest) => newest),
    leaves: (from, limit) =>
      reading(async (sql, { size }) => ({
        treeSize: size,
        leaves: await readLeaves(sql, from, Math.max(0, Math.min(limit, size - from))),
      })),
    inclusionOf: (leafHash) =>
      reading(async (sql, { size, note }) => {
        const leafIndex = await findLeaf(sql, leafHash);
        if (leafIndex === undefined || leafIndex >= size) return undefined;
        return {
          leafIndex,
          treeSize: size,
          checkpoint: note,
          proof: await proofOf(sql, inclusionPlan(leafIndex, size)),
        };
      }),
    inclusionAt: (leafIndex, asked) =>
      reading(async (sql, newest) => {
        const treeSize = requireSigned(asked, newest);
        const checkpoint = treeSize === newest.size ? newest.note : null;
        const proof = await proofOf(sql, inclusionPlan(leafIndex, treeSize));
        return { leafIndex, treeSize, checkpoint, proof };
      }),
    consistency: (first, asked) =>
      reading(async (sql, newest) => {
        const second = requireSigned(asked, newest);
        return { first, second, proof: await proofOf(sql, consistencyPlan(first, second)) };
      }),
  };
}

function requireSigned(asked: number | null, newest: CheckpointRow): number {
  if (asked === null) return newest.size;
  if (asked <= newest.size) return asked;
  throw new LogError('OUT_OF_RANGE', `Expected a size up to ${newest.size} but received ${asked}.`);
}

async function proofOf(sql: Sql, plan: readonly Cover[]): Promise<string[]> {
  const hashes = await hashesOfCovers(sql, plan);
  return hashes.map((hash) => Buffer.from(hash).toString('base64'));
}

/** The hash of each cover, all read in one round trip. */
export async function hashesOfCovers(sql: Sql, covers: readonly Cover[]): Promise<Hash[]> {
  if (covers.length === 0) return [];
  const kept = await readRanges(sql, rangesOf(covers));
  let next = 0;
  return covers.map((cover) => fold(cover.map(() => foldKept(kept[next++] ?? []))));
}
