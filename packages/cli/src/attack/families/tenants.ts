// Ids of another tenant on every route that takes one, in every place where one could be put.
import { randomUUID } from 'node:crypto';
import { reply, type Family } from '../family.ts';
import { exampleOf, pathWith, queryWith, type RouteFacts } from '../routes.ts';
import { wasServed, type Scene } from '../scene.ts';
import type { Answer, Shot } from '../shot.ts';

const TENANT_HEADERS = ['x-tenant-id', 'x-tenant', 'x-org-id', 'x-forwarded-user', 'x-user-id', 'x-original-url'];
const TENANT_PARAMETERS = ['tenant', 'tenantId', 'tenant_id', 'tid', 'org', 'account', 'owner', 'workspace'];

export const tenants: Family = {
  name: 'tenants',
  about: "another tenant's ids and name on every route",
  needsForeign: true,
  holes: [
    {
      name: 'an object is found by its id alone',
      open(passing, { forward, scene }) {
        const { foreign } = scene.stage;
        const isForeign = Object.values(foreign?.ids ?? {}).some((id) => passing.url.includes(id));
        const headers = { ...passing.headers, authorization: `Bearer ${foreign?.apiKey}` };
        return isForeign ? forward({ headers }) : forward();
      },
    },
    {
      name: 'a header chooses the tenant',
      open(passing, { forward, scene }) {
        const { foreign } = scene.stage;
        const headers = { ...passing.headers, authorization: `Bearer ${foreign?.apiKey}` };
        return passing.headers['x-tenant-id'] === foreign?.tenantId ? forward({ headers }) : forward();
      },
    },
    {
      name: 'a foreign id is answered with 403, so it is told from one that never was',
      open(passing, { forward, scene }) {
        const ids = Object.values(scene.stage.foreign?.ids ?? {});
        const isForeign = ids.some((id) => passing.url.includes(id));
        return isForeign ? reply(403, { code: 'FORBIDDEN' }) : forward();
      },
    },
  ],
  async run(scene) {
    const { foreign, routes } = scene.stage;
    if (foreign === undefined) throw new TypeError('Expected a second tenant');
    const taking = routes.filter(({ pathParameters }) => pathParameters.length > 0);
    for (const route of scene.some(taking)) await tryIds(scene, route, foreign.ids);
    const lists = routes.filter(
      ({ method, isForPersons, path }) => method === 'GET' && !isForPersons && path !== '/metrics',
    );
    await scene.volley(
      lists.flatMap((route) => claims(scene, route, foreign.tenantId)),
      foreignJudge(scene),
    );
    await scene.volley(
      lists.flatMap((route) => searches(scene, route, [foreign.word, foreign.tenantId, ...Object.values(foreign.ids)])),
      foreignJudge(scene),
    );
  },
};

function foreignJudge(scene: Scene) {
  const word = scene.stage.foreign?.word ?? '';
  return ({ text }: Answer, { path }: Shot): string | undefined =>
    text.includes(word) && !path.includes(word) ? "the answer shows the other tenant's data" : undefined;
}

// A foreign id must be answered as one that never was: the same status and the same text.
async function tryIds(scene: Scene, route: RouteFacts, ids: Record<string, string>): Promise<void> {
  const judge = foreignJudge(scene);
  const credentials = route.isForPersons ? { cookie: scene.stage.own.cookies['owner'] ?? '' } : scene.ownKey;
  const others = Object.values(ids).map((other) =>
    Object.fromEntries(route.pathParameters.map((name) => [name, other])),
  );
  for (const given of [Object.fromEntries(route.pathParameters.map((name) => [name, ids[name] ?? ''])), ...others]) {
    const shotOf = (method: string, idOf: (name: string) => string): Shot => ({
      method,
      path: pathWith(route, idOf),
      headers: { ...credentials, 'content-type': 'application/json', 'x-request-id': 'same' },
      ...(['POST', 'PUT', 'PATCH'].includes(method) ? { body: JSON.stringify(exampleOf(route.body ?? {})) } : {}),
    });
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const theirs = shotOf(method, (name) => given[name] ?? '');
      const nobodys = shotOf(method, (name) => randomLike(scene, given[name] ?? ''));
      const [there, nowhere] = await Promise.all([scene.fire(theirs, judge), scene.fire(nobodys)]);
      scene.verdict(difference(method, there, nowhere), `${method} ${theirs.path}`, there.status);
    }
  }
}

const ID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b|\b[0-9a-f]{16}\b/g;

function difference(method: string, there: Answer, nowhere: Answer): string | undefined {
  if (method !== 'OPTIONS' && wasServed(there)) return 'a foreign id was served';
  const isSame =
    there.status === nowhere.status && there.text.replaceAll(ID, 'ID') === nowhere.text.replaceAll(ID, 'ID');
  return isSame ? undefined : 'a foreign id is answered unlike an unknown one';
}

function randomLike(scene: Scene, id: string): string {
  if (id.includes('-')) return randomUUID();
  return scene.random.bytes(Math.ceil(id.length / 2)).toString('hex');
}

function claims(scene: Scene, route: RouteFacts, tenantId: string): Shot[] {
  const path = pathWith(route, randomUUID());
  const headers = { ...scene.ownKey };
  return [
    ...TENANT_HEADERS.map((name) => ({
      method: 'GET',
      path: path + queryWith(route),
      headers: { ...headers, [name]: tenantId },
    })),
    ...TENANT_PARAMETERS.map((name) => ({
      method: 'GET',
      path: path + queryWith(route, { [name]: tenantId }),
      headers,
    })),
    {
      method: 'GET',
      path: path + queryWith(route),
      headers: { ...headers, cookie: `tenant=${tenantId}; tid=${tenantId}` },
    },
  ];
}

function searches(scene: Scene, route: RouteFacts, words: readonly string[]): Shot[] {
  return route.queryParameters.flatMap(({ name }) =>
    words.map((word) => ({
      method: 'GET',
      path: pathWith(route, randomUUID()) + queryWith(route, { [name]: word }),
      headers: scene.ownKey,
    })),
  );
}
