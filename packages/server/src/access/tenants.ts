// A tenant's own settings and what its limits come to.
import type { Database } from '../storage/database.ts';
import { findTenant, updateTenant, type TenantRow } from '../storage/postgres/tenants.ts';
import { audit } from './audit.ts';
import type { Principal } from './principal.ts';
import { Refusal } from './refusal.ts';

/** Classes of retention; spans lie in a partition per class and day. */
export const RETENTION_DAYS = [1, 7, 30, 90, 365] as const;

export interface TenantSettings {
  tenantId: string;
  name: string;
  retentionDays: number;
  tracesPerDay: number;
  requestsPerHour: number;
}

export interface Tenants {
  /** @throws Refusal NOT_FOUND. */
  settings(tenantId: string): Promise<TenantSettings>;
  change(
    by: Principal,
    requestId: string,
    change: { name?: string | undefined; retentionDays?: number | undefined },
  ): Promise<TenantSettings>;
}

export interface TenantsOptions {
  database: Database;
  /** What holds for a tenant without limits of its own. */
  defaults: { tracesPerDay: number; requestsPerHour: number };
}

export function createTenants({ database, defaults }: TenantsOptions): Tenants {
  const shown = (tenant: TenantRow | undefined): TenantSettings => {
    if (tenant === undefined) throw new Refusal('NOT_FOUND', 'The tenant is no more.');
    return {
      tenantId: tenant.tenantId,
      name: tenant.name,
      retentionDays: tenant.retentionClass,
      tracesPerDay: tenant.tracesPerDay ?? defaults.tracesPerDay,
      requestsPerHour: tenant.requestsPerHour ?? defaults.requestsPerHour,
    };
  };
  return {
    async settings(tenantId) {
      return shown(await database.inTenant(tenantId, (sql) => findTenant(sql, tenantId)));
    },
    change(by, requestId, { name, retentionDays }) {
      const { tenantId, subject } = by;
      return database.inTenant(tenantId, async (sql) => {
        await updateTenant(sql, tenantId, { name, retentionClass: retentionDays });
        await audit(sql, {
          tenantId,
          actor: subject,
          action: 'settings.change',
          object: `tenant:${tenantId}`,
          outcome: 'done',
          requestId,
          detail: { name, retentionDays },
        });
        return shown(await findTenant(sql, tenantId));
      });
    },
  };
}
