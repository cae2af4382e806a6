// The audit log as a whole: chains what is older than the chain, searches, exports, checks, and signs checkpoints that are
// kept outside the database, so that a database that was cut or put back shows.
import { createPublicKey } from 'node:crypto';
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database, Sql } from '../storage/database.ts';
import {
  auditTail,
  chainRows,
  countUnchained,
  measureChain,
  readChain,
  readHashes,
  readUnchained,
  searchAudit,
  type AuditFilter,
  type ChainMeasure,
  type SealedAuditRow,
} from '../storage/postgres/audit.ts';
import { everyTenant } from '../storage/postgres/idempotency.ts';
import {
  ChainCheck,
  chainKey,
  firstHead,
  firstShrunk,
  sealLine,
  type ChainFinding,
  type ChainHead,
} from './audit-chain.ts';
import { EXPORT_FORMAT } from './audit-export.ts';
import { checkpointKey, publicPem, readCheckpoint, splitNotes, writeCheckpoint } from './audit-checkpoint.ts';
import { PROOF_FORMAT, type LineProof } from './audit-proof.ts';
import { ChainHashes, TreeEdge } from './audit-tree.ts';

export interface AuditLogOptions {
  database: Database;
  /** 32 bytes each: of the macs, and of the key that signs checkpoints. */
  secret: Uint8Array;
  checkpointSeed: Uint8Array;
  /** Checkpoints are files in here, one per tenant, appended to. */
  directory: string;
}

export interface AuditPage {
  lines: SealedAuditRow[];
  /** Where the next page begins; null after the oldest line. */
  nextBefore: number | null;
}

export interface Verdict {
  tenantId: string;
  lines: number;
  checkpoints: number;
  /** undefined: the chain holds. */
  finding: ChainFinding | undefined;
}

export interface AuditLog {
  /** Chains lines from before the chain, once per tenant. @returns how many. Run at every start, before anybody writes. */
  adopt(): Promise<number>;
  search(tenantId: string, filter: AuditFilter, page: { before: number | null; limit: number }): Promise<AuditPage>;
  /** The chain as JSON lines: a header with the public key, every line, every checkpoint, an end. */
  export(tenantId: string): AsyncGenerator<string>;
  /** Reads a tenant's whole chain against its macs and checkpoints. */
  verify(tenantId: string): Promise<Verdict>;
  /**
   * That a line is among those that the newest checkpoint counts, for somebody who may see no other. A line after the newest checkpoint
   * gets a checkpoint first. Reads the hash of every line. @returns undefined where no such line is, or the chain is not sound
   */
  prove(tenantId: string, position: number): Promise<LineProof | undefined>;
  /** Checkpoints of the tenant so far, as they were signed, and the key in PEM that they are signed with. */
  checkpoints(tenantId: string): Promise<{ notes: string[]; publicKey: string }>;
  /** Signs the present end of every chain that grew. @returns how many. */
  checkpoint(): Promise<number>;
  /** Checks all tenants; those whose chain does not hold. Reads every line: for an hourly job. */
  faults(): Promise<Verdict[]>;
  /** What counting alone tells, cheap enough for every minute: lines missing, planted, or cut behind a checkpoint. */
  gaps(): Promise<Array<{ tenantId: string; because: string }>>;
}

const BATCH = 1_000;

export function createAuditLog({ database, secret, checkpointSeed, directory }: AuditLogOptions): AuditLog {
  const signingKey = checkpointKey(checkpointSeed);
  const publicKey = createPublicKey(signingKey);
  const fileOf = (tenantId: string): string => join(directory, `${tenantId}.checkpoints`);
  const signed = new Map<string, number>();
  /** The trees as far as they were signed in this process; each starts again from the first line, checked against the file. */
  const edges = new Map<string, TreeEdge>();
  /** Whose lines no longer have the root that was signed. */
  const contradicted = new Map<string, string>();
  const signing = new Map<string, Promise<boolean>>();

  const batch = (tenantId: string, after: number): Promise<SealedAuditRow[]> =>
    database.inTenant(tenantId, (sql) => readChain(sql, tenantId, after, BATCH));

  async function* chain(tenantId: string): AsyncGenerator<SealedAuditRow> {
    for (let after = 0; ;) {
      const lines = await batch(tenantId, after);
      yield* lines;
      const last = lines.at(-1);
      if (last === undefined || lines.length < BATCH) return;
      after = last.position;
    }
  }

  async function notesOf(tenantId: string): Promise<string[]> {
    const text = await readFile(fileOf(tenantId), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    return splitNotes(text);
  }

  async function verify(tenantId: string): Promise<Verdict> {
    // before the lines: a checkpoint that is signed meanwhile may count more than were read
    const notes = await notesOf(tenantId);
    const heads = notes.map((note) => readCheckpoint(publicKey, note));
    const foreign = heads.findIndex((head) => head?.tenantId !== tenantId);
    const checkpoints = heads.filter((head) => head !== undefined);
    const check = new ChainCheck(tenantId, { key: chainKey(secret, tenantId), checkpoints });
    for await (const line of chain(tenantId)) if (!check.add(line)) break;
    const unchained = await database.inTenant(tenantId, (sql) => countUnchained(sql, tenantId));
    const finding =
      check.finish() ??
      firstShrunk(checkpoints) ??
      (foreign === -1 ? undefined : fault('checkpoint', `Checkpoint ${foreign + 1} in the file is not ours.`)) ??
      (unchained === 0 ? undefined : fault('position', `${unchained} lines were put beside the chain.`));
    return { tenantId, lines: check.head.position, checkpoints: notes.length, finding };
  }

  async function signHead(tenantId: string): Promise<boolean> {
    const { head } = await database.inTenant(tenantId, (sql) => auditTail(sql, tenantId));
    if (head === undefined || signed.get(tenantId) === head.position) return false;
    const last = readCheckpoint(publicKey, (await notesOf(tenantId)).at(-1) ?? '');
    if (!growsFrom(last, head)) return false;
    const root = await rootAt(tenantId, head.position, last);
    if (root === undefined) return false;
    const note = writeCheckpoint(signingKey, { tenantId, ...head, root });
    await appendFile(fileOf(tenantId), `${last === undefined ? '' : '\n'}${note}`, { mode: 0o600, flush: true });
    signed.set(tenantId, head.position);
    return true;
  }

  /** One after the other in a tenant: two at once would write the same checkpoint twice. */
  function signNext(tenantId: string): Promise<boolean> {
    const before = signing.get(tenantId) ?? Promise.resolve(false);
    const next = before.catch(() => false).then(() => signHead(tenantId));
    signing.set(tenantId, next);
    return next;
  }

  /** @returns undefined where lines are missing, or are not those that `last` was signed over: nothing is signed over them. */
  async function rootAt(tenantId: string, size: number, last: ChainHead | undefined): Promise<string | undefined> {
    const known = edges.get(tenantId);
    const edge = known !== undefined && known.size <= size ? known : new TreeEdge();
    edges.delete(tenantId);
    for (let hashes = [''] as string[]; edge.size < size && hashes.length > 0;) {
      hashes = await database.inTenant(tenantId, (sql) =>
        readHashes(sql, tenantId, edge.size, Math.min(BATCH, size - edge.size)),
      );
      for (const hash of hashes) {
        edge.add(hash);
        if (edge.size === last?.position && !isOver(last, hash, edge)) {
          contradicted.set(tenantId, `Line ${edge.size} and those before it no longer have the root that was signed.`);
          return undefined;
        }
      }
    }
    if (edge.size !== size) return undefined;
    contradicted.delete(tenantId);
    edges.set(tenantId, edge);
    return edge.root();
  }

  async function hashesUpTo(tenantId: string, size: number): Promise<ChainHashes> {
    const all = new ChainHashes();
    for (let hashes = [''] as string[]; all.size < size && hashes.length > 0;) {
      hashes = await database.inTenant(tenantId, (sql) =>
        readHashes(sql, tenantId, all.size, Math.min(BATCH, size - all.size)),
      );
      for (const hash of hashes) all.push(hash);
    }
    return all;
  }

  async function prove(tenantId: string, position: number): Promise<LineProof | undefined> {
    const [line] = await database.inTenant(tenantId, (sql) => readChain(sql, tenantId, position - 1, 1));
    if (line?.position !== position) return undefined;
    const newest = async () => {
      const note = (await notesOf(tenantId)).at(-1) ?? '';
      return { note, checkpoint: readCheckpoint(publicKey, note) };
    };
    let { note, checkpoint } = await newest();
    if (checkpoint?.root === undefined || checkpoint.position < position) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await signNext(tenantId);
      ({ note, checkpoint } = await newest());
    }
    if (checkpoint?.root === undefined || checkpoint.position < position) return undefined;
    const hashes = await hashesUpTo(tenantId, checkpoint.position);
    if (hashes.rootsAt([checkpoint.position]).get(checkpoint.position) !== checkpoint.root) return undefined;
    const { mac: _mac, ...shown } = line;
    const before = position === 1 ? firstHead(tenantId).hash : (hashes.at(position - 1) ?? '');
    const proof = hashes.inclusion(position, checkpoint.position);
    return { format: PROOF_FORMAT, publicKey: publicPem(signingKey), line: shown, before, checkpoint: note, proof };
  }

  return {
    verify,
    prove,
    checkpoints: async (tenantId) => ({ notes: await notesOf(tenantId), publicKey: publicPem(signingKey) }),
    async adopt() {
      let adopted = 0;
      for (const tenantId of await database.inSystem(everyTenant)) {
        adopted += await database.inSystem((sql) => adoptTenant(sql, tenantId, chainKey(secret, tenantId)));
      }
      return adopted;
    },
    async search(tenantId, filter, { before, limit }) {
      const lines = await database.inTenant(tenantId, (sql) =>
        searchAudit(sql, tenantId, filter, { before, limit: limit + 1 }),
      );
      const shown = lines.slice(0, limit);
      return { lines: shown, nextBefore: lines.length > limit ? (shown.at(-1)?.position ?? null) : null };
    },
    async *export(tenantId) {
      const notes = await notesOf(tenantId);
      yield jsonLine({ type: 'audit', format: EXPORT_FORMAT, tenantId, publicKey: publicPem(signingKey) });
      let head = firstHead(tenantId);
      const tree = new TreeEdge();
      for await (const line of chain(tenantId)) {
        head = { position: line.position, hash: line.hash };
        tree.add(line.hash);
        yield jsonLine({ type: 'line', ...line });
      }
      for (const note of notes) yield jsonLine({ type: 'checkpoint', note });
      yield jsonLine({ type: 'end', note: writeCheckpoint(signingKey, { tenantId, ...head, root: tree.root() }) });
    },
    async checkpoint() {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await writeFile(join(directory, 'public-key.pem'), publicPem(signingKey), { mode: 0o644 });
      let count = 0;
      for (const tenantId of await database.inSystem(everyTenant)) if (await signNext(tenantId)) count++;
      return count;
    },
    async gaps() {
      const found: Array<{ tenantId: string; because: string }> = [];
      for (const tenantId of await database.inSystem(everyTenant)) {
        // the checkpoint first: the chain may grow meanwhile
        const last = readCheckpoint(publicKey, (await notesOf(tenantId)).at(-1) ?? '');
        const measured = await database.inTenant(tenantId, (sql) => measureChain(sql, tenantId));
        const because = gapIn(measured, last?.position ?? 0) ?? contradicted.get(tenantId);
        if (because !== undefined) found.push({ tenantId, because });
      }
      return found;
    },
    async faults() {
      const verdicts: Verdict[] = [];
      for (const tenantId of await database.inSystem(everyTenant)) verdicts.push(await verify(tenantId));
      return verdicts.filter(({ finding }) => finding !== undefined);
    },
  };
}

function isOver({ hash, root }: ChainHead, hashThere: string, edge: TreeEdge): boolean {
  return hash === hashThere && (root === undefined || root === edge.root());
}

/** A chain that became shorter is never signed: the last checkpoint stays the witness. */
function growsFrom(last: ChainHead | undefined, head: ChainHead): boolean {
  return last === undefined || head.position > last.position;
}

function gapIn({ lines, last, unchained }: ChainMeasure, signed: number): string | undefined {
  if (unchained > 0) return `${unchained} lines were put beside the chain.`;
  if (lines !== last) return `Of ${last} lines ${lines} are there.`;
  if (last < signed) return `A signed checkpoint counts ${signed} lines, here are ${last}.`;
  return undefined;
}

const fault = (kind: ChainFinding['fault'], because: string): ChainFinding => ({ fault: kind, position: 0, because });
const jsonLine = (value: unknown): string => `${JSON.stringify(value)}\n`;

/**
 * Only while the tenant has no chain: a line that is put beside an existing chain must stay outside of it. As the owner,
 * since the application may not change lines; the tenant is set, so no other tenant's lines are in reach.
 */
async function adoptTenant(sql: Sql, tenantId: string, key: Uint8Array): Promise<number> {
  await sql.query(`select set_config('app.tenant', $1, true)`, [tenantId]);
  const { head } = await auditTail(sql, tenantId);
  if (head !== undefined) return 0;
  let before = firstHead(tenantId);
  for (;;) {
    const old = await readUnchained(sql, tenantId, BATCH);
    const rows = old.map(({ seq, at, ...line }) => {
      const chained = { ...line, position: before.position + 1, at: at.toISOString() };
      const sealed = sealLine(key, before.hash, chained);
      before = { position: chained.position, hash: sealed.hash.toString('hex') };
      return { seq, position: chained.position, at: chained.at, ...sealed };
    });
    await chainRows(sql, tenantId, rows);
    if (old.length < BATCH) return before.position;
  }
}
