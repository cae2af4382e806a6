// A person in several tenants: which ones, a new one, from one to another, and out of one.
import { randomUUID } from 'node:crypto';
import type { Database } from '../storage/database.ts';
import {
  actAsAccount,
  insertMembership,
  listOwnTenants,
  rememberTenant,
  roleOf,
  type OwnTenantRow,
} from '../storage/postgres/accounts.ts';
import { lockSessionsOf } from '../storage/postgres/sessions.ts';
import { actAsTenant, insertTenant } from '../storage/postgres/tenants.ts';
import { audit } from './audit.ts';
import { ended, ownPerson, person } from './people.ts';
import type { Principal } from './principal.ts';
import { Refusal } from './refusal.ts';
import type { OpenedSession, Sessions } from './sessions.ts';

/** Tenants that one person belongs to. */
export const MOST_OWN_TENANTS = 100;

export interface OwnTenants {
  /** By name; one for whom a tenant's provider vouches sees that tenant alone. */
  list(principal: Principal): Promise<OwnTenantRow[]>;
  /** The maker is its first owner; the session stays where it is. @throws Refusal CONFLICT, FORBIDDEN */
  create(by: Principal, requestId: string, name: string): Promise<{ tenantId: string }>;
  /** Exchanges the session for one in another tenant; its absolute end stays. @throws Refusal NOT_FOUND, FORBIDDEN, AUTH_INVALID */
  switchTo(by: Principal, requestId: string, tenantId: string, device: string | null): Promise<OpenedSession>;
}

export interface OwnTenantsOptions {
  database: Database;
  sessions: Sessions;
  /** Days that telemetry of a new tenant is kept, unless its owner changes that. */
  retentionDays: number | undefined;
}

export function createOwnTenants({ database, sessions, retentionDays }: OwnTenantsOptions): OwnTenants {
  const listOf = (accountId: string): Promise<OwnTenantRow[]> =>
    database.inAccount(accountId, (sql) => listOwnTenants(sql, accountId, MOST_OWN_TENANTS));
  return {
    async list(principal) {
      const { tenantId, accountId } = person(principal);
      const rows = await listOf(accountId);
      return principal.providerId === undefined ? rows : rows.filter((row) => row.tenantId === tenantId);
    },

    async create(by, requestId, name) {
      const { tenantId: from, accountId } = ownPerson(by);
      if ((await listOf(accountId)).length >= MOST_OWN_TENANTS)
        throw new Refusal('CONFLICT', `A person belongs to ${MOST_OWN_TENANTS} tenants at most.`);
      const tenantId = randomUUID();
      const object = `tenant:${tenantId}`;
      const line = { actor: by.subject, action: 'tenant.create', object, outcome: 'done', requestId } as const;
      await database.inTenant(from, async (sql) => {
        await audit(sql, { ...line, tenantId: from });
        await actAsTenant(sql, tenantId);
        await insertTenant(sql, { tenantId, name, retentionClass: retentionDays });
        await insertMembership(sql, { tenantId, accountId, role: 'owner' });
        await audit(sql, { ...line, tenantId });
      });
      return { tenantId };
    },

    switchTo(by, requestId, tenantId, device) {
      const { tenantId: from, accountId } = ownPerson(by);
      const object = `account:${accountId}`;
      const line = { actor: by.subject, action: 'session.switch', object, outcome: 'done', requestId } as const;
      return database.inTenant(from, async (sql) => {
        await lockSessionsOf(sql, accountId);
        if (!(await sessions.closeIn(sql, by))) throw ended();
        await actAsTenant(sql, tenantId);
        if ((await roleOf(sql, tenantId, accountId)) === undefined)
          throw new Refusal('NOT_FOUND', 'You belong to no tenant with this id.');
        await actAsAccount(sql, accountId);
        await rememberTenant(sql, accountId, tenantId);
        const session = await sessions.openIn(sql, { tenantId, accountId, device }, by.sessionExpiresAt);
        // in one order for everybody: two people who cross each other must not wait for each other's lines
        for (const each of [from, tenantId].toSorted()) {
          await actAsTenant(sql, each);
          await audit(sql, { ...line, tenantId: each });
        }
        return session;
      });
    },
  };
}
