// An entry of the log, written in the transaction of its effect: there is no effect without its entry, and no entry without it.
import { randomBytes } from 'node:crypto';
import { ENTRY_TYPE, type LogEntry } from '@lumatrace/provenance/log/receipt.ts';
import { leafHash } from '@lumatrace/provenance/log/tree.ts';
import type { Sql } from '../storage/database.ts';
import { insertEntry } from '../storage/postgres/transparency.ts';

/** What a story says; time and nonce are added here. */
export type Said = Omit<LogEntry, 'type' | 'at' | 'nonce'>;

export interface WrittenEntry {
  leafHash: Buffer;
  /** The leaf's bytes as text. */
  entry: string;
}

const NONCE_BYTES = 16;

/** In a transaction with the tenant set. The leaf gets its place after the commit. */
export async function writeEntry(sql: Sql, said: Said, at: Date = new Date()): Promise<WrittenEntry> {
  const nonce = randomBytes(NONCE_BYTES).toString('hex');
  const whole: LogEntry = { type: ENTRY_TYPE, ...said, at: at.toISOString(), nonce };
  const entry = JSON.stringify(whole);
  const leaf = Buffer.from(leafHash(Buffer.from(entry)));
  await insertEntry(sql, { tenantId: said.tenantId, leafHash: leaf, object: said.object, entry });
  return { leafHash: leaf, entry };
}

/** The entry of a revoked certificate, whose id is the SHA-256 of its public key in base64url. */
export function certificateRevoked(tenantId: string, kid: string): Said {
  const key = Buffer.from(kid, 'base64url').toString('hex');
  return { action: 'certificate.revoke', tenantId, object: `certificate:${kid}`, sha256: { key } };
}
