// Inviting people: a link that is shown once, good for a week, for one address, and what happens when it is opened.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { sqlState, type Database, type Sql } from '../storage/database.ts';
import {
  actAsAccount,
  countMembers,
  findMember,
  findLogin,
  insertAccount,
  insertMembership,
  lockMembers,
  rememberTenant,
  roleOf,
} from '../storage/postgres/accounts.ts';
import {
  acceptInvitation,
  deleteEndedInvitations,
  findInvitation,
  insertInvitation,
  listOpenInvitations,
  revokeInvitation,
  type InvitationRow,
} from '../storage/postgres/invitations.ts';
import { findTenant } from '../storage/postgres/tenants.ts';
import { audit, type AuditLine } from './audit.ts';
import { lockMembersFor, MOST_MEMBERS, refuseBeyond } from './members.ts';
import { passwordFault, type Passwords } from './passwords.ts';
import { normalisedEmail, ownPerson, type LoggedIn, type People } from './people.ts';
import type { Principal, Role } from './principal.ts';
import { Refusal } from './refusal.ts';

export type { InvitationRow };

export const INVITATION_LIFE_MS = 7 * 24 * 3_600_000;
/** Of one tenant, at once. */
export const MOST_INVITATIONS = 200;
const KEPT_MS = 30 * 24 * 3_600_000;
const TOKEN_BYTES = 32;
const TOKEN_TEXT = /^[A-Za-z0-9_-]{43}$/;
const UNIQUE_VIOLATION = '23505';

/** What somebody who holds the link may know. */
export interface InvitationShown {
  tenantName: string;
  email: string;
  role: Role;
  expiresAt: Date;
}

export interface Invitations {
  /** Those that can still be accepted, the newest first. */
  list(tenantId: string): Promise<InvitationRow[]>;
  /**
   * One address has one open invitation: a new one ends the one before. The token is in this answer and nowhere else.
   * @throws Refusal FORBIDDEN for a role beyond the own one; CONFLICT for a member, and when there are too many
   */
  create(
    by: Principal,
    requestId: string,
    wanted: { email: string; role: Role },
  ): Promise<InvitationRow & { token: string }>;
  /** @throws Refusal NOT_FOUND */
  revoke(by: Principal, requestId: string, invitationId: string): Promise<void>;
  /** @throws Refusal NOT_FOUND for a link that is not known, was used, revoked, or has ended: one answer for all */
  look(token: string): Promise<InvitationShown>;
  /** Makes an account for the invited address. @throws Refusal NOT_FOUND, VALIDATION_FAILED; CONFLICT when it has one */
  accept(
    token: string,
    person: { name: string; password: string },
    requestId: string,
    device: string | null,
  ): Promise<LoggedIn>;
  /**
   * Brings the person who is logged in. @returns the tenant. @throws Refusal NOT_FOUND; FORBIDDEN for another address than
   * the invited one, and for somebody whom a provider vouches for; CONFLICT for a member
   */
  join(by: Principal, token: string, requestId: string): Promise<{ tenantId: string }>;
}

export interface InvitationsOptions {
  database: Database;
  people: Pick<People, 'enter'>;
  passwords: Passwords;
  nowMs: () => number;
}

export function createInvitations({ database, people, passwords, nowMs }: InvitationsOptions): Invitations {
  async function open(token: string): Promise<InvitationRow> {
    const tokenHash = TOKEN_TEXT.test(token) ? hashOf(token) : undefined;
    const row =
      tokenHash === undefined ? undefined : await database.inLookup(tokenHash, (sql) => findInvitation(sql, tokenHash));
    if (row === undefined || row.acceptedAt !== null || row.revokedAt !== null || row.expiresAt.getTime() <= nowMs())
      throw ended();
    return row;
  }

  return {
    list: (tenantId) =>
      database.inTenant(tenantId, (sql) =>
        listOpenInvitations(sql, tenantId, { now: new Date(nowMs()), limit: MOST_INVITATIONS }),
      ),

    create(by, requestId, { email: asWritten, role }) {
      const { tenantId } = by;
      const email = normalisedEmail(asWritten);
      refuseBeyond(by, role);
      return database.inTenant(tenantId, async (sql) => {
        const now = nowMs();
        await lockMembersFor(sql, by);
        if ((await findMember(sql, tenantId, { email }))?.isManaged === false)
          throw new Refusal('CONFLICT', 'A member has this address already.');
        await deleteEndedInvitations(sql, tenantId, new Date(now - KEPT_MS));
        const openOnes = await listOpenInvitations(sql, tenantId, { now: new Date(now), limit: MOST_INVITATIONS });
        const earlier = openOnes.filter((invitation) => invitation.email === email);
        for (const { invitationId, role: its } of earlier) {
          refuseBeyond(by, its);
          await revokeInvitation(sql, { tenantId, invitationId, at: new Date(now) });
        }
        if (openOnes.length - earlier.length >= MOST_INVITATIONS)
          throw new Refusal('CONFLICT', `There are ${MOST_INVITATIONS} open invitations: revoke some first.`);
        await refuseMore(sql, tenantId);
        const token = randomBytes(TOKEN_BYTES).toString('base64url');
        const invitation = {
          tenantId,
          invitationId: randomUUID(),
          email,
          role,
          createdAt: new Date(now),
          createdBy: by.subject,
          expiresAt: new Date(now + INVITATION_LIFE_MS),
        };
        await insertInvitation(sql, { ...invitation, tokenHash: hashOf(token) });
        await audit(sql, {
          ...line(by, requestId, 'invitation.create', invitation.invitationId),
          detail: { role, replaced: earlier.length },
        });
        return { ...invitation, acceptedAt: null, revokedAt: null, token };
      });
    },

    revoke(by, requestId, invitationId) {
      const { tenantId } = by;
      return database.inTenant(tenantId, async (sql) => {
        if (!(await revokeInvitation(sql, { tenantId, invitationId, at: new Date(nowMs()) })))
          throw new Refusal('NOT_FOUND', 'There is no such open invitation.');
        await audit(sql, line(by, requestId, 'invitation.revoke', invitationId));
      });
    },

    async look(token) {
      const { tenantId, email, role, expiresAt } = await open(token);
      const tenant = await database.inTenant(tenantId, (sql) => findTenant(sql, tenantId));
      if (tenant === undefined) throw ended();
      return { tenantName: tenant.name, email, role: role as Role, expiresAt };
    },

    async accept(token, { name, password }, requestId, device) {
      const { tenantId, invitationId, email, role } = await open(token);
      const fault = passwordFault(password, { email, current: '' });
      if (fault !== undefined) throw new Refusal('VALIDATION_FAILED', fault, { action: 'Choose another password.' });
      const argon2id = await passwords.hash(password);
      const accountId = randomUUID();
      const account = { accountId, email, name, mustChangePassword: false, managedBy: null };
      try {
        await database.inTenant(tenantId, async (sql) => {
          await lockMembers(sql, tenantId);
          await refuseMore(sql, tenantId);
          if (!(await acceptInvitation(sql, { tenantId, invitationId, accountId, at: new Date(nowMs()) })))
            throw ended();
          await actAsAccount(sql, accountId);
          await insertAccount(sql, { accountId, email, name, mustChangePassword: false, argon2id });
          await insertMembership(sql, { tenantId, accountId, role });
          const by = { tenantId, subject: `account:${accountId}` };
          await audit(sql, { ...line(by, requestId, 'invitation.accept', invitationId), detail: { role } });
        });
      } catch (error) {
        if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
        throw new Refusal('CONFLICT', 'There is an account with this address already.', {
          action: 'Log in with it, and open the link again.',
        });
      }
      return people.enter({ ...account, argon2id, tenantId, role }, { by: 'invitation', requestId, device });
    },

    async join(by, token, requestId) {
      const { accountId } = ownPerson(by);
      const { tenantId, invitationId, email, role } = await open(token);
      const account = await database.inAccount(accountId, (sql) => findLogin(sql, accountId));
      if (account?.email !== email)
        throw new Refusal('FORBIDDEN', 'The invitation is for another address than the one you are logged in with.', {
          action: 'Log out and open the link again, or ask for an invitation to your own address.',
        });
      await database.inTenant(tenantId, async (sql) => {
        await lockMembers(sql, tenantId);
        if ((await roleOf(sql, tenantId, accountId)) !== undefined)
          throw new Refusal('CONFLICT', 'You are a member already.');
        await refuseMore(sql, tenantId);
        if (!(await acceptInvitation(sql, { tenantId, invitationId, accountId, at: new Date(nowMs()) }))) throw ended();
        await insertMembership(sql, { tenantId, accountId, role });
        await actAsAccount(sql, accountId);
        await rememberTenant(sql, accountId, tenantId);
        const subject = `account:${accountId}`;
        await audit(sql, {
          ...line({ tenantId, subject }, requestId, 'invitation.accept', invitationId),
          detail: { role },
        });
      });
      return { tenantId };
    },
  };
}

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

function ended(): Refusal {
  return new Refusal('NOT_FOUND', 'This invitation is not known, was used or revoked, or has ended.', {
    action: 'Ask whoever sent it for a new one.',
  });
}

/** With the members locked. */
async function refuseMore(sql: Sql, tenantId: string): Promise<void> {
  if ((await countMembers(sql, tenantId)) < MOST_MEMBERS) return;
  throw new Refusal('CONFLICT', `A tenant has ${MOST_MEMBERS} members at most.`);
}

function line(
  { tenantId, subject }: Pick<Principal, 'tenantId' | 'subject'>,
  requestId: string,
  action: string,
  invitationId: string,
): AuditLine {
  return { tenantId, actor: subject, action, object: `invitation:${invitationId}`, outcome: 'done', requestId };
}
