// The transparency log. A story appends in its own transaction and needs no lock; what was committed gets its place from one
// sequencer at a time, in batches, and then a checkpoint is signed. A crash anywhere leaves leaves without a checkpoint or
// entries without a leaf, which the next round goes on with: nothing twice, nothing lost, no gap.
import {
  checkpointText,
  logOfSpki,
  pemOf,
  signedNote,
  verifierKey,
  type LogIdentity,
} from '@lumatrace/provenance/log/checkpoint.ts';
import { isKept } from '@lumatrace/provenance/log/kept.ts';
import { RECEIPT_TYPE, type Receipt } from '@lumatrace/provenance/log/receipt.ts';
import { fold, grow, rootPlan } from '@lumatrace/provenance/log/tree.ts';
import type { SignerProcess } from '../keys/signer/client.ts';
import type { Database, Sql } from '../storage/database.ts';
import {
  insertCheckpoint,
  insertLeaves,
  insertLogKey,
  insertSubtrees,
  listEntries,
  newestCheckpoint,
  readLogKey,
  takePending,
  takeSequencer,
  treeSize,
} from '../storage/postgres/transparency.ts';
import { writeEntry, type Said } from './entry.ts';
import { createProofs, hashesOfCovers, type Proofs } from './proofs.ts';

export interface Log extends Proofs {
  readonly identity: LogIdentity;
  /** PEM, and the one-line form of signed-note. */
  readonly publicKeyPem: string;
  readonly verifierKey: string;
  /** In the tenant transaction of the effect. The receipt is what can be said before the commit. */
  append(sql: Sql, said: Said): Promise<Receipt>;
  /** Receipts about an object, newest first; with their proofs as far as the log has signed. */
  receiptsOf(tenantId: string, object: string): Promise<Receipt[]>;
  /** Gives places to what was committed and signs. @returns how many leaves came. */
  sequence(): Promise<number>;
}

export interface LogOptions {
  database: Database;
  signer: Pick<SignerProcess, 'generate' | 'load' | 'sign'>;
  clock?: () => Date;
}

const KID = 'transparency-log';
/** Leaves of one transaction: a fraction of a second, so that others wait shortly. */
const BATCH = 4_096;
/** Receipts of one object. */
const MAX_RECEIPTS = 20;

/** Opens the log; the first start makes its key and signs the empty tree. */
export async function openLog({ database, signer, clock = () => new Date() }: LogOptions): Promise<Log> {
  const { publicSpki, wrappedPrivate } = await database.inSystem((sql) => keyOf(sql, signer));
  await signer.load(KID, wrappedPrivate);
  const identity = logOfSpki(publicSpki);
  const proofs = createProofs(database);

  async function sign(): Promise<void> {
    const unsigned = await database.inSystem(async (sql) => {
      const [size, newest] = [await treeSize(sql), await newestCheckpoint(sql)];
      return newest === undefined || newest.size < size ? { size, root: await rootOf(sql, size) } : undefined;
    });
    if (unsigned === undefined) return;
    const text = checkpointText(identity, unsigned);
    const note = signedNote(identity, text, await signer.sign(KID, Buffer.from(text)));
    // whoever signed the same size meanwhile signed the same root
    await database.inSystem((sql) => insertCheckpoint(sql, { ...unsigned, note }));
  }

  const log: Log = {
    ...proofs,
    identity,
    publicKeyPem: pemOf(identity),
    verifierKey: verifierKey(identity),
    async append(sql, said) {
      const { leafHash, entry } = await writeEntry(sql, said, clock());
      return { type: RECEIPT_TYPE, origin: identity.origin, leafHash: leafHash.toString('hex'), entry };
    },
    async receiptsOf(tenantId, object) {
      const rows = await database.inTenant(tenantId, (sql) => listEntries(sql, tenantId, object, MAX_RECEIPTS));
      return Promise.all(
        rows.map(async ({ leafHash: hash, entry }): Promise<Receipt> => {
          const receipt = {
            type: RECEIPT_TYPE,
            origin: identity.origin,
            leafHash: hash.toString('hex'),
            entry,
          } as const;
          const { leafIndex, checkpoint, proof } = (await proofs.inclusionOf(hash)) ?? {};
          if (leafIndex === undefined || checkpoint === undefined || proof === undefined) return receipt;
          return { ...receipt, leafIndex, checkpoint, proof };
        }),
      );
    },
    async sequence() {
      let came = 0;
      for (let count = BATCH; count === BATCH; came += count) count = await database.inSystem(integrate);
      await sign();
      return came;
    },
  };
  await log.sequence();
  return log;
}

async function keyOf(sql: Sql, signer: LogOptions['signer']) {
  await takeSequencer(sql);
  const known = await readLogKey(sql);
  if (known !== undefined) return known;
  const { publicKeySpki, wrappedPrivate } = await signer.generate('ed25519');
  const made = { publicSpki: publicKeySpki, wrappedPrivate };
  await insertLogKey(sql, made);
  return made;
}

/** One batch: entries that wait become leaves, and what they complete is kept. */
async function integrate(sql: Sql): Promise<number> {
  await takeSequencer(sql);
  const leaves = await takePending(sql, BATCH);
  if (leaves.length === 0) return 0;
  const size = await treeSize(sql);
  const edge = await hashesOfCovers(
    sql,
    rootPlan(size).map((subtree) => [subtree]),
  );
  const { completed } = grow(size, edge, leaves);
  await insertLeaves(sql, size, leaves);
  await insertSubtrees(sql, completed.filter(isKept));
  return leaves.length;
}

async function rootOf(sql: Sql, size: number) {
  return fold(
    await hashesOfCovers(
      sql,
      rootPlan(size).map((subtree) => [subtree]),
    ),
  );
}
