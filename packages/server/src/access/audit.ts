// The audit line of an action: written in the transaction of its effect, so that there is no action without its line,
// and chained to the line before it in the same tenant under a key that the database never sees.
import type { Sql } from '../storage/database.ts';
import { auditTail, insertAudit } from '../storage/postgres/audit.ts';
import { chainKey, firstHead, sealLine, type ChainedLine } from './audit-chain.ts';

export interface AuditLine {
  tenantId: string;
  /** The principal's subject: `account:<uuid>`, `key:<uuid>`, `service-account:<uuid>`; or `system`. */
  actor: string;
  /** Room and verb: `key.create`, `photo.protect`. */
  action: string;
  /** What it was done to: `key:<uuid>`, `photo:<uuid>`, or a route for refusals. */
  object: string;
  outcome: 'done' | 'denied' | 'failed';
  requestId: string;
  /** Facts without content, secrets or personal data. */
  detail?: Record<string, unknown>;
}

/** The secret of each open database: rooms that write lines hold a transaction and nothing else. */
const SECRETS = new WeakMap<object, Uint8Array>();

/** From now on lines of this database are chained under `secret` (32 bytes). */
export function keepAuditChain(door: object, secret: Uint8Array): void {
  SECRETS.set(door, secret);
}

/**
 * In the caller's tenant transaction. From here to the commit other transactions of the tenant that write a line wait;
 * those of other tenants do not. @throws TypeError when no chain is kept: no line, so no action.
 */
export async function audit(sql: Sql, line: AuditLine): Promise<void> {
  const secret = SECRETS.get(sql.door);
  if (secret === undefined) throw new TypeError('Expected a database whose audit chain is kept.');
  const tail = await auditTail(sql, line.tenantId);
  const before = tail.head ?? firstHead(line.tenantId);
  const chained: ChainedLine = {
    ...line,
    position: before.position + 1,
    at: tail.at.toISOString(),
    // as it will be read again: what JSON does not know is gone
    detail: JSON.parse(JSON.stringify(line.detail ?? {})) as unknown,
  };
  await insertAudit(sql, { ...chained, ...sealLine(chainKey(secret, line.tenantId), before.hash, chained) });
}
