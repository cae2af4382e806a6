// SQL of the transparency log: entries of tenants, leaves that wait, and the tree that everybody may read.
import type { HashedSubtree } from '@lumatrace/provenance/log/tree.ts';
import type { KeptRange } from '@lumatrace/provenance/log/kept.ts';
import type { Sql } from '../database.ts';

export interface EntryRow {
  tenantId: string;
  leafHash: Uint8Array;
  object: string;
  /** JSON text, the leaf's bytes. */
  entry: string;
}

/** In the tenant transaction of the effect: entry and waiting leaf, in one round trip. */
export async function insertEntry(sql: Sql, { tenantId, leafHash, object, entry }: EntryRow): Promise<void> {
  await sql.query(
    `
      with kept as (
        insert into log_entries (tenant_id, leaf_hash, object, entry) values ($1, $2, $3, $4)
      )
      insert into log_pending (leaf_hash) values ($2)
    `,
    [tenantId, leafHash, object, entry],
    'insert-log-entry',
  );
}

/** In a tenant transaction: the newest entries about an object, newest first. */
export async function listEntries(sql: Sql, tenantId: string, object: string, limit: number) {
  const { rows } = await sql.query<{ leafHash: Buffer; entry: string }>(
    `
      select leaf_hash as "leafHash", entry
      from log_entries
      where tenant_id = $1 and object = $2
      order by logged_at desc
      limit $3
    `,
    [tenantId, object, limit],
  );
  return rows;
}

// Any constant of our own: one process gives places, the others wait.
const SEQUENCER_LOCK = 7_340_151;

/** As the owner: waits for the turn, which is ours until the transaction ends. */
export async function takeSequencer(sql: Sql): Promise<void> {
  await sql.query('select pg_advisory_xact_lock($1)', [SEQUENCER_LOCK]);
}

/**
 * As the owner with the turn: takes committed leaves out of those that wait, the oldest first, each once: a hash that came
 * twice must not stop the log.
 */
export async function takePending(sql: Sql, limit: number): Promise<Buffer[]> {
  const { rows } = await sql.query<{ leafHash: Buffer }>(
    `
      with taken as (
        delete from log_pending
        where seq = any (array(select seq from log_pending order by seq limit $1))
        returning seq, leaf_hash
      )
      select leaf_hash as "leafHash"
      from taken
      where not exists (select from log_leaves l where l.leaf_hash = taken.leaf_hash)
      group by leaf_hash
      order by min(seq)
    `,
    [limit],
  );
  return rows.map(({ leafHash }) => leafHash);
}

export async function treeSize(sql: Sql): Promise<number> {
  const { rows } = await sql.query<{ size: string }>('select coalesce(max(leaf_index) + 1, 0) as size from log_leaves');
  return Number(rows[0]?.size ?? 0);
}

/** As the owner with the turn. */
export async function insertLeaves(sql: Sql, from: number, leaves: readonly Uint8Array[]): Promise<void> {
  await sql.query(
    `
      insert into log_leaves (leaf_index, leaf_hash)
      select $1::bigint + n - 1, hash from unnest($2::bytea[]) with ordinality as leaf (hash, n)
    `,
    [from, leaves],
  );
}

/** As the owner with the turn. */
export async function insertSubtrees(sql: Sql, subtrees: readonly HashedSubtree[]): Promise<void> {
  if (subtrees.length === 0) return;
  await sql.query(
    `
      insert into log_subtrees (level, place, hash)
      select * from unnest($1::smallint[], $2::bigint[], $3::bytea[])
    `,
    [subtrees.map(({ level }) => level), subtrees.map(({ index }) => index), subtrees.map(({ hash }) => hash)],
  );
}

/** The hashes of every range, in their order. @throws Error when one is missing: the tree is damaged. */
export async function readRanges(sql: Sql, ranges: readonly KeptRange[]): Promise<Buffer[][]> {
  const { rows } = await sql.query<{ hashes: Buffer[] }>(
    `
      select
        case when level = 0
          then array(
            select leaf_hash from log_leaves
            where leaf_index >= start and leaf_index < start + width order by leaf_index
          )
          else array(
            select hash from log_subtrees s
            where s.level = asked.level and place >= start and place < start + width order by place
          )
        end as hashes
      from unnest($1::smallint[], $2::bigint[], $3::bigint[]) with ordinality as asked (level, start, width, n)
      order by n
    `,
    [ranges.map(({ level }) => level), ranges.map(({ from }) => from), ranges.map(({ count }) => count)],
  );
  const hashes = rows.map((row) => row.hashes);
  const isWhole = ranges.every(({ count }, i) => hashes[i]?.length === count);
  if (!isWhole) throw new Error('Hashes of the transparency log are missing.');
  return hashes;
}

export async function readLeaves(sql: Sql, from: number, limit: number): Promise<Buffer[]> {
  const { rows } = await sql.query<{ leafHash: Buffer }>(
    `
      select leaf_hash as "leafHash" from log_leaves
      where leaf_index >= $1::bigint and leaf_index < $1::bigint + $2::bigint
      order by leaf_index
    `,
    [from, limit],
  );
  return rows.map(({ leafHash }) => leafHash);
}

/** Undefined for a leaf that has no place (yet). */
export async function findLeaf(sql: Sql, leafHash: Uint8Array): Promise<number | undefined> {
  const { rows } = await sql.query<{ leafIndex: string }>(
    'select leaf_index as "leafIndex" from log_leaves where leaf_hash = $1',
    [leafHash],
  );
  return rows[0] === undefined ? undefined : Number(rows[0].leafIndex);
}

export interface CheckpointRow {
  size: number;
  note: string;
  signedAt: Date;
}

/** The newest one; undefined before the first. */
export async function newestCheckpoint(sql: Sql): Promise<CheckpointRow | undefined> {
  const { rows } = await sql.query<{ size: string; note: string; signedAt: Date }>(
    'select tree_size as size, note, signed_at as "signedAt" from log_checkpoints order by tree_size desc limit 1',
  );
  return rows[0] === undefined ? undefined : { ...rows[0], size: Number(rows[0].size) };
}

/** As the owner; a size that was signed before stays as it was. */
export async function insertCheckpoint(
  sql: Sql,
  { size, root, note }: { size: number; root: Uint8Array; note: string },
): Promise<void> {
  await sql.query('insert into log_checkpoints (tree_size, root, note) values ($1, $2, $3) on conflict do nothing', [
    size,
    root,
    note,
  ]);
}

export interface LogKeyRow {
  publicSpki: Buffer;
  wrappedPrivate: Buffer;
}

/** As the owner. */
export async function readLogKey(sql: Sql): Promise<LogKeyRow | undefined> {
  const { rows } = await sql.query<LogKeyRow>(
    'select public_spki as "publicSpki", wrapped_private as "wrappedPrivate" from log_key',
  );
  return rows[0];
}

/** As the owner. */
export async function insertLogKey(sql: Sql, { publicSpki, wrappedPrivate }: LogKeyRow): Promise<void> {
  await sql.query('insert into log_key (public_spki, wrapped_private) values ($1, $2)', [publicSpki, wrappedPrivate]);
}
