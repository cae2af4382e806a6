// Who belongs to a tenant, and as what: roles are given and taken, people are removed, one owner always stays.
import type { Database, Sql } from '../storage/database.ts';
import {
  countOwners,
  deleteMembership,
  findMember,
  listMembers,
  lockMembers,
  roleOf,
  updateRole,
  type MemberRow,
  type MembershipRow,
} from '../storage/postgres/accounts.ts';
import { revokeInvitationsBy } from '../storage/postgres/invitations.ts';
import { deleteOtherSessions, lockSessionsOf } from '../storage/postgres/sessions.ts';
import { audit, type AuditLine } from './audit.ts';
import type { Principal, Role } from './principal.ts';
import { Refusal } from './refusal.ts';
import { ROLE_SCOPES } from './roles.ts';

/** Of one tenant; as many as the list of them shows. */
export const MOST_MEMBERS = 1_000;

export interface Members {
  /** The longest first; at most 1,000. */
  list(tenantId: string): Promise<MemberRow[]>;
  /**
   * Holds from the next request of that person on. Only owners make and unmake owners; nobody gives a role that may more
   * than the own one. @throws Refusal NOT_FOUND, FORBIDDEN; CONFLICT when no owner would be left
   */
  changeRole(by: Principal, requestId: string, accountId: string, role: Role): Promise<void>;
  /** Ends their sessions here too; twice is NOT_FOUND. Removing oneself is leaving. @throws as `changeRole` */
  remove(by: Principal, requestId: string, accountId: string): Promise<void>;
  /** Ends every session of a member here; the caller's own stays. @returns how many there were. @throws as `changeRole` */
  endSessions(by: Principal, requestId: string, accountId: string): Promise<number>;
}

export function createMembers({ database, nowMs }: { database: Database; nowMs: () => number }): Members {
  /** What somebody offered who may less now is off: an invitation must not outlive the right to make it. */
  const withdrawOffers = (sql: Sql, tenantId: string, accountId: string): Promise<void> =>
    revokeInvitationsBy(sql, { tenantId, createdBy: `account:${accountId}`, at: new Date(nowMs()) });

  return {
    list: (tenantId) => database.inTenant(tenantId, (sql) => listMembers(sql, tenantId)),

    changeRole(by, requestId, accountId, role) {
      const { tenantId } = by;
      return database.inTenant(tenantId, async (sql) => {
        await lockMembersFor(sql, by);
        const { role: before, isManaged } = await memberOf(sql, tenantId, accountId);
        refuseBeyond(by, before, role);
        if (before === role) return;
        if (isManaged)
          throw new Refusal('CONFLICT', 'The groups at the identity provider decide about the role of this member.', {
            action: 'Change the groups there, or what they stand for here.',
          });
        if (before === 'owner') await keepAnOwner(sql, tenantId);
        await updateRole(sql, { tenantId, accountId, role });
        if (role !== 'owner') await withdrawOffers(sql, tenantId, accountId);
        await note(sql, by, requestId, 'member.role', accountId, { from: before, to: role });
      });
    },

    remove(by, requestId, accountId) {
      const { tenantId } = by;
      return database.inTenant(tenantId, async (sql) => {
        await lockMembersFor(sql, by);
        const { role } = await memberOf(sql, tenantId, accountId);
        if (by.accountId !== accountId) refuseOthers(by, role);
        if (role === 'owner') await keepAnOwner(sql, tenantId);
        // a session that is just being opened waits, and then finds no membership
        await lockSessionsOf(sql, accountId);
        await deleteMembership(sql, tenantId, accountId);
        await withdrawOffers(sql, tenantId, accountId);
        await note(sql, by, requestId, 'member.remove', accountId, { role });
      });
    },

    endSessions(by, requestId, accountId) {
      const { tenantId } = by;
      return database.inTenant(tenantId, async (sql) => {
        await lockMembersFor(sql, by);
        refuseBeyond(by, (await memberOf(sql, tenantId, accountId)).role);
        await lockSessionsOf(sql, accountId);
        const sessions = await deleteOtherSessions(sql, { tenantId, accountId, kept: by.sessionId });
        await note(sql, by, requestId, 'member.sessions.end', accountId, { sessions });
        return sessions;
      });
    },
  };
}

async function memberOf(sql: Sql, tenantId: string, accountId: string): Promise<MembershipRow> {
  const member = await findMember(sql, tenantId, { accountId });
  if (member === undefined) throw new Refusal('NOT_FOUND', 'There is no such member.');
  return member;
}

/**
 * One decision about members at a time, by somebody who still is what they were when they asked: whoever is demoted or removed
 * while their request waits decides nothing more. @throws Refusal FORBIDDEN
 */
export async function lockMembersFor(sql: Sql, { tenantId, accountId, role }: Principal): Promise<void> {
  await lockMembers(sql, tenantId);
  if (accountId !== undefined && (await roleOf(sql, tenantId, accountId)) === role) return;
  throw new Refusal('FORBIDDEN', 'What you may do here has changed meanwhile.', {
    action: 'Look at the members again.',
  });
}

/** Everybody may leave; whoever removes somebody else is an owner or an admin. */
function refuseOthers(by: Principal, role: string): void {
  if (by.role !== 'owner' && by.role !== 'admin')
    throw new Refusal('FORBIDDEN', 'Only an owner or an admin removes others.');
  refuseBeyond(by, role);
}

/** Nobody reaches above themselves: neither at whom they change, nor with what they give. */
export function refuseBeyond(by: Principal, ...roles: readonly string[]): void {
  if (by.role !== 'owner' && roles.includes('owner'))
    throw new Refusal('FORBIDDEN', 'Only an owner makes, changes or removes an owner.');
  const foreign = roles.some((role) => [...(ROLE_SCOPES[role as Role] ?? [])].some((scope) => !by.scopes.has(scope)));
  if (foreign) throw new Refusal('FORBIDDEN', 'This role may more than you may.');
}

async function keepAnOwner(sql: Sql, tenantId: string): Promise<void> {
  if ((await countOwners(sql, tenantId)) > 1) return;
  throw new Refusal('CONFLICT', 'This is the only owner, and a tenant has one at least.', {
    action: 'Make somebody else an owner first, or erase the tenant.',
  });
}

function note(
  sql: Sql,
  { tenantId, subject }: Principal,
  requestId: string,
  action: string,
  accountId: string,
  detail: NonNullable<AuditLine['detail']>,
): Promise<void> {
  const object = `account:${accountId}`;
  return audit(sql, { tenantId, actor: subject, action, object, outcome: 'done', requestId, detail });
}
