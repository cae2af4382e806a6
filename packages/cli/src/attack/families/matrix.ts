// Every role and every scope on every route: what the table grants is served, all else is refused and written down.
import { randomUUID } from 'node:crypto';
import type { Family } from '../family.ts';
import { pathWith, queryWith, type RouteFacts } from '../routes.ts';
import type { Scene } from '../scene.ts';
import type { Answer, Shot } from '../shot.ts';

const SCOPES = [
  'traces:write',
  'traces:read',
  'photos:register',
  'photos:protect',
  'photos:verify',
  'replay:run',
  'alerts:write',
  'prices:write',
  'keys:admin',
  'trust:read',
  'trust:admin',
  'audit:read',
];

/** The server's table written a second time, on purpose: a slip in one of the two is a mismatch here. */
const ROLES: Readonly<Record<string, readonly string[]>> = {
  owner: SCOPES,
  admin: SCOPES,
  analyst: [
    'traces:read',
    'photos:register',
    'photos:protect',
    'photos:verify',
    'replay:run',
    'alerts:write',
    'prices:write',
    'trust:read',
  ],
  viewer: ['traces:read', 'photos:verify', 'trust:read'],
  auditor: ['traces:read', 'trust:read', 'audit:read'],
  security: ['traces:read', 'photos:verify', 'trust:read', 'trust:admin', 'audit:read'],
};

const OWNER = ['owner'];
const MANAGERS = ['owner', 'admin'];
/** Routes for some roles alone, whatever their scopes: people decide about people. */
const SOME_ROLES: ReadonlyMap<string, readonly string[]> = new Map([
  ['DELETE /api/tenants/{tenantId}', OWNER],
  ['POST /auth/tenants', OWNER],
  ['PATCH /api/members/{accountId}', MANAGERS],
  ['DELETE /api/members/{accountId}/sessions', MANAGERS],
  ['POST /api/invitations', MANAGERS],
  ['DELETE /api/invitations/{invitationId}', MANAGERS],
  ['GET /api/oidc-providers', MANAGERS],
  ['POST /api/oidc-providers', OWNER],
  ['POST /api/oidc-providers/check', OWNER],
  ['PATCH /api/oidc-providers/{providerId}', OWNER],
  ['DELETE /api/oidc-providers/{providerId}', OWNER],
  ['POST /api/oidc-providers/{providerId}/readmissions', OWNER],
]);

/** These end the session that they are asked with: each cell gets one of its own. */
const ENDS_SESSION = new Set(['/auth/logout', '/auth/refresh', '/auth/change-password']);

export const matrix: Family = {
  name: 'matrix',
  about: 'every role and every scope × every route',
  needsForeign: true,
  holes: [
    {
      name: 'a viewer may do what an owner may',
      open: ({ headers }, { forward, scene }) => {
        const { viewer, owner } = scene.stage.own.cookies;
        return headers['cookie'] === viewer ? forward({ headers: { ...headers, cookie: owner ?? '' } }) : forward();
      },
    },
    {
      name: 'writes are not checked',
      open: ({ method, headers }, { forward, scene }) =>
        method === 'DELETE' ? forward({ headers: { ...headers, ...scene.ownKey } }) : forward(),
    },
  ],
  async run(scene) {
    const denied: string[] = [];
    const routes = scene.some(scene.stage.routes.filter(({ isPublic }) => !isPublic));
    for (const [role, scopes] of Object.entries(ROLES)) {
      for (const route of routes) await tryPerson(scene, route, role, scopes, denied);
    }
    const keys = await keysOfEveryKind(scene);
    for (const { scopes, apiKey } of keys) {
      const headers = { authorization: `Bearer ${apiKey}` };
      for (const route of routes) {
        const isGranted = !route.isForPersons && isEnough(route, scopes);
        await cell(scene, route, headers, isGranted, denied);
      }
    }
    await missingInAudit(scene, denied);
  },
};

async function tryPerson(
  scene: Scene,
  route: RouteFacts,
  role: string,
  scopes: readonly string[],
  denied: string[],
): Promise<void> {
  const only = SOME_ROLES.get(`${route.method} ${route.path}`);
  const isGranted = isEnough(route, scopes) && (only === undefined || only.includes(role));
  const cookie = ENDS_SESSION.has(route.path) ? await scene.freshSession(role) : scene.stage.own.cookies[role];
  if (cookie === undefined) throw new TypeError(`Expected a session of ${role}`);
  await cell(scene, route, { cookie }, isGranted, denied);
}

function isEnough(route: RouteFacts, scopes: readonly string[]): boolean {
  return route.scopes.length === 0 || route.scopes.some((scope) => scopes.includes(scope));
}

async function cell(
  scene: Scene,
  route: RouteFacts,
  credentials: Record<string, string>,
  isGranted: boolean,
  denied: string[],
): Promise<void> {
  const requestId = randomUUID();
  const isWrite = route.method !== 'GET';
  const shot: Shot = {
    method: route.method,
    path: pathWith(route, randomUUID()) + queryWith(route),
    headers: { ...credentials, 'x-request-id': requestId, 'content-type': route.mediaTypes[0] ?? 'application/json' },
    ...(isWrite ? { body: '' } : {}),
    at: route.path.startsWith('/v1/') ? 'otlp' : 'http',
  };
  const judge = ({ status }: Answer): string | undefined => {
    const wasDenied = status === 401 || status === 403;
    if (wasDenied === !isGranted) return undefined;
    scene.tally.more['matrixMismatches'] = (scene.tally.more['matrixMismatches'] ?? 0) + 1;
    return isGranted ? 'a right that the table grants was refused' : 'a right that the table denies was given';
  };
  scene.tally.more['cells'] = (scene.tally.more['cells'] ?? 0) + 1;
  const answer = await scene.fire(shot, judge);
  if (isWrite && !isGranted && answer.status === 403) denied.push(requestId);
}

interface ScopedKey {
  scopes: readonly string[];
  apiKey: string;
}

/** One key for each scope alone, and one with all but that. */
async function keysOfEveryKind(scene: Scene): Promise<ScopedKey[]> {
  const kinds = SCOPES.flatMap((scope) => [[scope], SCOPES.filter((other) => other !== scope)]);
  const made: ScopedKey[] = [];
  for (const scopes of scene.some(kinds)) {
    const answer = await scene.ask({
      method: 'POST',
      path: '/api/keys',
      headers: { ...scene.ownKey, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'matrix', scopes }),
    });
    if (answer.status !== 201) throw new Error(`Expected a key but received ${answer.status} ${answer.text}`);
    made.push({ scopes, apiKey: String((JSON.parse(answer.text) as { apiKey: unknown }).apiKey) });
  }
  return made;
}

/** Every denied write of somebody who is known has a line in the audit log. */
async function missingInAudit(scene: Scene, denied: readonly string[]): Promise<void> {
  const { audited } = scene.stage;
  if (audited === undefined || scene.isPlanted) return;
  const found = await audited(denied);
  scene.tally.more['deniedWrites'] = denied.length;
  scene.tally.more['deniedWritesNotAudited'] = denied.filter((id) => !found.has(id)).length;
  for (const id of denied) {
    scene.verdict(found.has(id) ? undefined : 'a denied write has no line in the audit log', `x-request-id: ${id}`);
  }
}
