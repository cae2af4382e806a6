// Credentials that end soon, told before they do: two weeks and three days ahead, once each.
import type { Database } from '../storage/database.ts';
import { listApiKeys } from '../storage/postgres/api-keys.ts';
import { wasAlerted, type AlertRow } from '../storage/postgres/audit-alerts.ts';
import { listServiceAccounts } from '../storage/postgres/service-accounts.ts';
import { listTenants } from '../storage/postgres/tenants.ts';

const DAY_MS = 86_400_000;
export const REMINDED_DAYS_BEFORE = [3, 14] as const;
const KIND = 'credential.ends';

interface Ending {
  about: string;
  createdAt: Date;
  expiresAt: Date | null;
}

export interface EndRemindersOptions {
  database: Database;
  alert: (row: AlertRow) => Promise<void>;
  nowMs?: () => number;
}

/**
 * Every hour. Not told: what was revoked, replaced or disabled, and what was made to live no longer than the notice.
 * @returns how many were told
 */
export async function remindOfEnds({ database, alert, nowMs = Date.now }: EndRemindersOptions): Promise<number> {
  const now = nowMs();
  let told = 0;
  for (const { tenantId } of await database.inSystem(listTenants)) {
    const endings = await database.inTenant(tenantId, async (sql): Promise<Ending[]> => {
      const keys = await listApiKeys(sql, tenantId);
      const accounts = await listServiceAccounts(sql, tenantId);
      return [
        ...keys
          .filter(({ revokedAt, replacedBy }) => revokedAt === null && replacedBy === null)
          .map((key) => ({ ...key, about: `key:${key.keyId}` })),
        ...accounts
          .filter(({ disabledAt }) => disabledAt === null)
          .map((account) => ({
            about: `service-account:${account.serviceAccountId}`,
            createdAt: account.rotatedAt ?? account.createdAt,
            expiresAt: account.expiresAt,
          })),
      ];
    });
    for (const { about, createdAt, expiresAt } of endings) {
      const withinDays = expiresAt === null ? undefined : noticeOf(createdAt, expiresAt, now);
      if (expiresAt === null || withinDays === undefined) continue;
      const row = { kind: KIND, about, tenantId, detail: { expiresAt: expiresAt.toISOString(), withinDays } };
      if (await database.inSystem((sql) => wasAlerted(sql, row))) continue;
      await alert(row);
      told++;
    }
  }
  return told;
}

/** The nearest notice that is due, in days; undefined: none. */
function noticeOf(createdAt: Date, expiresAt: Date, nowMs: number): number | undefined {
  const leftMs = expiresAt.getTime() - nowMs;
  const lifeMs = expiresAt.getTime() - createdAt.getTime();
  if (leftMs <= 0) return undefined;
  return REMINDED_DAYS_BEFORE.find((days) => leftMs <= days * DAY_MS && lifeMs > days * DAY_MS);
}
