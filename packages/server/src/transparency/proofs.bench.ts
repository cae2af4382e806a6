// How long proofs take in a large tree: `node packages/server/src/transparency/proofs.bench.ts [leaves]`. Fills a throw-away
// database with leaves and the subtrees that the sequencer would have kept, and checks every proof that it times.
import { randomInt } from 'node:crypto';
import { hashesOf } from '@lumatrace/provenance/log/receipt.ts';
import { fold, isConsistent, isSame, rootFromInclusion, rootPlan } from '@lumatrace/provenance/log/tree.ts';
import { insertCheckpoint, readRanges } from '../storage/postgres/transparency.ts';
import { testDatabase } from '../test/harness.ts';
import { createProofs, hashesOfCovers } from './proofs.ts';

const LEAVES = Number(process.argv[2] ?? 10_000_000);
const CHUNK = 500_000;
const ROUNDS = 500;

const db = await testDatabase();
const { database } = db;
const pool = database.ownerPool;
try {
  await fill();
  const root = await database.inSystem(async (sql) => {
    const made = fold(
      await hashesOfCovers(
        sql,
        rootPlan(LEAVES).map((subtree) => [subtree]),
      ),
    );
    // the note is not read here: signatures cost nothing per proof
    await insertCheckpoint(sql, { size: LEAVES, root: made, note: 'unsigned' });
    return made;
  });
  const proofs = createProofs(database);
  const leafAt = async (index: number) =>
    (await database.inSystem((sql) => readRanges(sql, [{ level: 0, from: index, count: 1 }])))[0]?.[0] as Buffer;

  await timed('inclusion by hash', async () => {
    const index = randomInt(LEAVES);
    const leaf = await leafAt(index);
    const startMs = performance.now();
    const found = await proofs.inclusionOf(leaf);
    const ms = performance.now() - startMs;
    const reached = found && rootFromInclusion(leaf, found.leafIndex, found.treeSize, hashesOf(found.proof));
    if (found?.leafIndex !== index || !reached || !isSame(reached, root))
      throw new Error(`leaf ${index} is not proved`);
    return ms;
  });
  await timed('consistency', async () => {
    const first = 1 + randomInt(LEAVES);
    const old = await database.inSystem(async (sql) =>
      fold(
        await hashesOfCovers(
          sql,
          rootPlan(first).map((subtree) => [subtree]),
        ),
      ),
    );
    const startMs = performance.now();
    const { proof } = await proofs.consistency(first, null);
    const ms = performance.now() - startMs;
    if (!isConsistent({ size: first, root: old }, { size: LEAVES, root }, hashesOf(proof)))
      throw new Error(`${first} is not proved`);
    return ms;
  });
  const { rows } = await pool.query(
    `select relname, pg_size_pretty(pg_total_relation_size(oid)) as size from pg_class
     where relname in ('log_leaves', 'log_subtrees') order by 1`,
  );
  console.table(rows);
} finally {
  await db.close();
}

async function fill(): Promise<void> {
  for (let from = 0; from < LEAVES; from += CHUNK)
    await pool.query(
      `insert into log_leaves select i, sha256('\\x00'::bytea || int8send(i)) from generate_series($1::bigint, $2::bigint) i`,
      [from, Math.min(from + CHUNK, LEAVES) - 1],
    );
  await pool.query(`create table level_0 as select leaf_index as place, leaf_hash as hash from log_leaves`);
  // each level from the one below; every fourth is kept
  for (let level = 1; 2 ** level <= LEAVES; level++) {
    await pool.query(`
      create table level_${level} as
      select l.place / 2 as place, sha256('\\x01'::bytea || l.hash || r.hash) as hash
      from level_${level - 1} l join level_${level - 1} r on r.place = l.place + 1
      where l.place % 2 = 0`);
    await pool.query(`drop table level_${level - 1}`);
    if (level % 4 === 0) await pool.query(`insert into log_subtrees select ${level}, place, hash from level_${level}`);
  }
  await pool.query('analyze log_leaves, log_subtrees');
}

async function timed(name: string, once: () => Promise<number>): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i++) times.push(await once());
  times.sort((a, b) => a - b);
  const at = (share: number): string => `${(times[Math.floor(share * (ROUNDS - 1))] as number).toFixed(2)} ms`;
  console.log(`${name}, ${LEAVES} leaves: p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}, most ${at(1)}`);
}
