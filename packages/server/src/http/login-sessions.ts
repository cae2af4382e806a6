// Routes of a person's own sessions: where they are logged in, and ending that.
import { z } from 'zod';
import type { Access } from '../access/access.ts';
import { json, route, type Route } from './route.ts';

const session = z.object({
  id: z.string().describe('names the session to its owner'),
  tenantId: z.uuid(),
  device: z.string().nullable().describe('such as "Firefox on Linux", as the browser said when it logged in'),
  createdAt: z.iso.datetime(),
  lastSeenAt: z.iso.datetime().describe('to the minute'),
  expiresAt: z.iso.datetime().describe('whatever happens; without a request it ends after twelve hours'),
  isCurrent: z.boolean().describe('the one that asks'),
});

export function loginSessionRoutes({ sessions }: Pick<Access, 'sessions'>): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/login-sessions',
      summary: 'Where you are logged in, the last used first.',
      tag: 'people',
      policy: { kind: 'person' },
      limit: 'api',
      answers: {
        200: { description: 'Your sessions, in whatever tenant.', schema: z.object({ data: z.array(session) }) },
      },
      async handle({ principal }) {
        return json({ data: await sessions.list(principal) });
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/login-sessions/{sessionId}',
      summary: 'Ends one of your sessions, for every process at once.',
      tag: 'people',
      policy: { kind: 'person' },
      limit: 'api',
      params: z.object({ sessionId: z.string().max(100) }),
      answers: { 204: { description: 'It has ended.' }, 404: { description: 'None of yours, or it had ended.' } },
      async handle({ principal, params, requestId }) {
        await sessions.revoke(principal, params.sessionId, requestId);
        return new Response(null, { status: 204 });
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/login-sessions',
      summary: 'Ends all of your sessions but this one.',
      tag: 'people',
      policy: { kind: 'person' },
      limit: 'api',
      answers: { 200: { description: 'How many there were.', schema: z.object({ ended: z.number().int() }) } },
      async handle({ principal, requestId }) {
        return json({ ended: await sessions.revokeOthers(principal, requestId) });
      },
    }),
  ];
}
