// Routes of a tenant's members and invitations.
import { z } from 'zod';
import type { Access } from '../access/access.ts';
import type { InvitationRow } from '../access/invitations.ts';
import { ROLES } from '../access/principal.ts';
import { json, route, type Policy, type Route } from './route.ts';

const ROLE = z.enum(ROLES);
const INSTANT = z.iso.datetime();
const MEMBER = z.object({
  id: z.uuid(),
  email: z.string(),
  name: z.string(),
  role: ROLE,
  createdAt: INSTANT,
  lastLoginAt: INSTANT.nullable(),
  isManaged: z.boolean().describe('an identity provider of the tenant vouches for them; they are nobody elsewhere'),
});
const INVITATION = z.object({
  invitationId: z.uuid(),
  email: z.string(),
  role: ROLE,
  createdAt: INSTANT,
  createdBy: z.string(),
  expiresAt: INSTANT,
});
const READ: Policy = { kind: 'scope', scope: 'keys:admin' };
/** People decide about people: no key does, whatever its scopes. */
const WRITE: Policy = { kind: 'person', roles: ['owner', 'admin'] };
const MEMBER_PARAMS = z.object({ accountId: z.uuid() });

export interface MemberRoutesOptions {
  access: Pick<Access, 'members' | 'invitations'>;
  /** Where people reach us: invitations lead there. */
  publicUrl: string;
}

export function memberRoutes({ access, publicUrl }: MemberRoutesOptions): Route[] {
  const { members, invitations } = access;
  return [
    route({
      method: 'GET',
      path: '/api/members',
      summary: 'The people of the tenant and their roles.',
      tag: 'settings',
      policy: READ,
      limit: 'api',
      answers: { 200: { description: 'The members.', schema: z.object({ data: z.array(MEMBER) }) } },
      async handle({ principal }) {
        const data = await members.list(principal.tenantId);
        return json({ data: data.map(({ accountId, ...member }) => ({ id: accountId, ...member })) });
      },
    }),
    route({
      method: 'PATCH',
      path: '/api/members/{accountId}',
      summary: 'Give a member another role; it holds from their next request on.',
      tag: 'settings',
      policy: WRITE,
      limit: 'api',
      params: MEMBER_PARAMS,
      body: z.object({ role: ROLE }),
      answers: {
        204: { description: 'Done.' },
        409: { description: 'No owner would be left.' },
      },
      async handle({ principal, requestId, params, body }) {
        await members.changeRole(principal, requestId, params.accountId, body.role);
        return new Response(null, { status: 204 });
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/members/{accountId}',
      summary: 'Remove a member; their sessions in this tenant end at once. Of oneself: leave.',
      tag: 'settings',
      policy: { kind: 'person' },
      limit: 'api',
      params: MEMBER_PARAMS,
      answers: {
        204: { description: 'Removed.' },
        409: { description: 'No owner would be left.' },
      },
      async handle({ principal, requestId, params }) {
        await members.remove(principal, requestId, params.accountId);
        return new Response(null, { status: 204 });
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/members/{accountId}/sessions',
      summary: 'End every session of a member in this tenant.',
      tag: 'settings',
      policy: WRITE,
      limit: 'api',
      params: MEMBER_PARAMS,
      answers: { 200: { description: 'How many there were.', schema: z.object({ ended: z.number().int() }) } },
      async handle({ principal, requestId, params }) {
        return json({ ended: await members.endSessions(principal, requestId, params.accountId) });
      },
    }),
    route({
      method: 'GET',
      path: '/api/invitations',
      summary: 'Invitations that can still be accepted, the newest first.',
      tag: 'settings',
      policy: READ,
      limit: 'api',
      answers: { 200: { description: 'The invitations.', schema: z.object({ data: z.array(INVITATION) }) } },
      async handle({ principal }) {
        return json({ data: (await invitations.list(principal.tenantId)).map(invitationAnswer) });
      },
    }),
    route({
      method: 'POST',
      path: '/api/invitations',
      summary:
        'Invite somebody; the link is shown in this answer and never again. An open invitation of the address ends.',
      tag: 'settings',
      policy: WRITE,
      limit: 'api',
      body: z.object({ email: z.email().max(254), role: ROLE }),
      maxBodyBytes: 4_096,
      answers: { 201: { description: 'The invitation.', schema: INVITATION.extend({ url: z.url() }) } },
      async handle({ principal, requestId, body }) {
        const { token, ...invitation } = await invitations.create(principal, requestId, body);
        // in the fragment: browsers send it to nobody, so it stands in no log
        return json({ ...invitationAnswer(invitation), url: `${publicUrl}/invitation#${token}` }, 201);
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/invitations/{invitationId}',
      summary: 'Take an invitation back.',
      tag: 'settings',
      policy: WRITE,
      limit: 'api',
      params: z.object({ invitationId: z.uuid() }),
      answers: { 204: { description: 'The link is good for nothing any more.' } },
      async handle({ principal, requestId, params }) {
        await invitations.revoke(principal, requestId, params.invitationId);
        return new Response(null, { status: 204 });
      },
    }),
  ];
}

function invitationAnswer({ invitationId, email, role, createdAt, createdBy, expiresAt }: InvitationRow) {
  return { invitationId, email, role, createdAt, createdBy, expiresAt };
}
