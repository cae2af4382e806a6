// The one call that cannot be taken back: tenants erased by others, under other names, from other pages.
import { randomUUID } from 'node:crypto';
import { reply, type Family, type Passing } from '../family.ts';
import { wasServed, type Scene } from '../scene.ts';
import type { Shot } from '../shot.ts';

const PATH = '/api/tenants/{tenantId}';
const CROSS_SITE: readonly Record<string, string>[] = [
  { origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' },
  { origin: 'null' },
  { referer: 'https://evil.test/', 'sec-fetch-site': 'same-site' },
];

export const erasures: Family = {
  name: 'erasures',
  about: 'tenants erased by whoever is not their owner, under a wrong name, or from another page',
  needsForeign: true,
  holes: [
    {
      name: 'the tenant of the address is erased, whoever asks',
      open: (passing, { forward, scene }) =>
        isErasure(passing) && passing.url.toLowerCase().includes(scene.stage.foreign?.tenantId ?? '-')
          ? reply(202, { erasureId: randomUUID() })
          : forward(),
    },
    {
      name: 'the name is not compared',
      open: (passing, { forward, scene }) =>
        isErasure(passing) && passing.headers['cookie'] === scene.stage.own.cookies['owner']
          ? reply(202, { erasureId: randomUUID() })
          : forward(),
    },
  ],
  async run(scene) {
    const { routes, own, foreign } = scene.stage;
    if (foreign === undefined) throw new TypeError('Expected a second tenant');
    if (!routes.some(({ method, path }) => method === 'DELETE' && path === PATH)) return;
    const ownName = await nameOf(scene, own.apiKey);
    const theirName = await nameOf(scene, foreign.apiKey);
    const shots = [
      ...byOthers(scene, foreign.tenantId, [theirName, ownName]),
      ...byOthers(scene, own.tenantId, [ownName]).filter(({ headers }) => headers?.['cookie'] !== own.cookies['owner']),
      ...underWrongNames(scene, ownName),
      ...CROSS_SITE.map((headers) => erase(own.tenantId, { cookie: own.cookies['owner'] ?? '', ...headers }, ownName)),
    ];
    await scene.volley(shots, (answer) => (wasServed(answer) ? 'a tenant was erased' : undefined));
    const ids = [...Object.values(foreign.ids), foreign.tenantId, own.tenantId, randomUUID()];
    const looks = ids.map((id): Shot => ({ method: 'GET', path: `/api/erasures/${id}` }));
    await scene.volley(looks, (answer) => (wasServed(answer) ? 'an erasure that never was' : undefined));
    for (const [whose, party] of [
      ['own', own],
      ['other', foreign],
    ] as const) {
      const path = '/api/settings';
      const { status } = await scene.ask({ method: 'GET', path, headers: { authorization: `Bearer ${party.apiKey}` } });
      scene.verdict(status === 200 ? undefined : `the ${whose} tenant is gone`, `GET ${path}`, status);
    }
  },
};

function isErasure({ method, url }: Passing): boolean {
  return method === 'DELETE' && url.startsWith('/api/tenants/');
}

function erase(tenantId: string, headers: Record<string, string>, name: unknown): Shot {
  return {
    method: 'DELETE',
    path: `/api/tenants/${tenantId}`,
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ name }),
  };
}

/** Asked past the holes, which may serve whoever asks. */
async function nameOf(scene: Scene, apiKey: string): Promise<string> {
  const headers = { authorization: `Bearer ${apiKey}` };
  const { text } = await scene.ask({ method: 'GET', path: '/api/settings', headers });
  const { name } = JSON.parse(text) as { name?: unknown };
  if (typeof name !== 'string') throw new Error(`Expected the name of the tenant but received ${text.slice(0, 200)}`);
  return name;
}

/** Every session and the key of the attacker's tenant, and nobody, on each spelling of the id. */
function byOthers(scene: Scene, tenantId: string, names: readonly string[]): Shot[] {
  const { cookies } = scene.stage.own;
  const credentials: Record<string, string>[] = [
    ...Object.values(cookies).map((cookie) => ({ cookie })),
    scene.ownKey,
    { authorization: `Basic ${Buffer.from(`x:${scene.stage.own.apiKey}`).toString('base64')}` },
    { cookie: cookies['owner'] ?? '', 'x-tenant-id': tenantId },
    {},
  ];
  const spellings = [tenantId, tenantId.toUpperCase(), `${tenantId}/`, `./${tenantId}`, encodeURI(`${tenantId}?x`)];
  return credentials.flatMap((headers) => spellings.flatMap((id) => names.map((name) => erase(id, headers, name))));
}

function underWrongNames(scene: Scene, name: string): Shot[] {
  const { own, corpora } = scene.stage;
  const wrong: unknown[] = [
    name.toUpperCase() === name ? name.toLowerCase() : name.toUpperCase(),
    ` ${name}`, `${name} `, `${name}\u0000`, `${name}\u200b`, name.slice(0, -1), `${name}${name}`, '%', '_', '*', '.*',
    [name], { name }, { $ne: '' }, null, true, 0, '', ...corpora.strings,
  ]; // prettier-ignore
  const headers = { cookie: own.cookies['owner'] ?? '' };
  // earlier families rename the tenant: a name without letters is the same in capitals
  const bodies = wrong.filter((value) => value !== name).map((value) => erase(own.tenantId, headers, value));
  const none: Shot = { method: 'DELETE', path: `/api/tenants/${own.tenantId}`, headers };
  const inQuery: Shot = { ...none, path: `${none.path}?name=${encodeURIComponent(name)}` };
  return [...bodies, none, inQuery];
}
