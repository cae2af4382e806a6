// The audit line of an action: written in the transaction of its effect, so that there is no action without its line.
import type { Sql } from '../storage/database.ts';
import { insertAudit } from '../storage/postgres/audit.ts';

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

/** In the caller's tenant transaction. */
export function audit(sql: Sql, line: AuditLine): Promise<void> {
  return insertAudit(sql, { ...line, detail: line.detail ?? {} });
}
