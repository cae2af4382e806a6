// What a hostile page makes its visitor's browser do: writes from elsewhere, reads across origins, names that point here.
import { without, type Family } from '../family.ts';
import { exampleOf, pathWith, queryWith, type RouteFacts } from '../routes.ts';
import type { Shot } from '../shot.ts';

const ID = '7d444840-9dc0-41d1-b245-5ffdce74fad2';

function strangers(origin: string): string[] {
  const { host, port } = new URL(origin);
  return [
    'https://attack.test',
    'http://attack.test',
    'null',
    '',
    'file://',
    `https://${host}.attack.test`,
    `http://attack.test:${port}`,
    `http://localhost.attack.test:${port}`,
    `http://${host}@attack.test`,
    `http://attack.test#${host}`,
    `http://attack.test/${host}`,
    `http://127.0.0.2:${port}`,
    `http://localhost:${Number(port) + 1}`,
    'http://localhost',
    'chrome-extension://abcdefghijklmnop',
    `http://localhost%00.attack.test:${port}`,
    'http://[::1]',
    `${origin}, https://attack.test`,
  ];
}

export const csrf: Family = {
  name: 'csrf',
  about: 'writes with a session from pages of other origins',
  needsForeign: true,
  holes: [
    {
      name: 'the origin is not looked at',
      open: ({ headers }, { forward }) => forward({ headers: without(headers, 'origin', 'sec-fetch-site') }),
    },
    {
      name: 'the origin null is let in',
      open({ headers }, { forward }) {
        const { origin, ...rest } = headers;
        return origin === 'null' ? forward({ headers: rest }) : forward();
      },
    },
  ],
  async run(scene) {
    const cookie = await scene.freshSession();
    const writes = scene.stage.routes.filter(({ method }) => method !== 'GET');
    const sites: Record<string, string>[] = [
      ...strangers(scene.target.http).map((origin) => ({ origin })),
      ...['cross-site', 'same-site', 'none', 'x', ''].map((site) => ({ 'sec-fetch-site': site })),
      { origin: scene.target.http, 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'cross-site', 'x-requested-with': 'XMLHttpRequest' },
      { origin: 'https://attack.test', referer: scene.target.http },
    ];
    const bodies = ['application/json', 'text/plain', 'application/x-www-form-urlencoded'];
    const shots = writes.flatMap((route) =>
      sites.flatMap((site) =>
        bodies.map((type): Shot => ({ ...write(route, cookie), headers: { cookie, ...site, 'content-type': type } })),
      ),
    );
    await scene.volley(shots, ({ status }) =>
      status === 403 || status === 401 ? undefined : 'a write from another origin was let in',
    );
  },
};

function write(route: RouteFacts, cookie: string): Shot {
  return {
    method: route.method,
    path: pathWith(route, ID),
    headers: { cookie },
    body: JSON.stringify(exampleOf(route.body ?? {})),
    at: route.path.startsWith('/v1/') ? 'otlp' : 'http',
  };
}

export const cors: Family = {
  name: 'cors',
  about: 'reads and preflights from pages of other origins, on every route',
  holes: [
    {
      name: 'the origin is echoed',
      async open({ headers }, { forward }) {
        const answer = await forward();
        return { ...answer, headers: { ...answer.headers, 'access-control-allow-origin': headers['origin'] ?? '*' } };
      },
    },
  ],
  async run(scene) {
    const shots = scene.stage.routes.flatMap((route) =>
      strangers(scene.target.http).flatMap((origin): Shot[] => {
        const path = pathWith(route, ID) + queryWith(route);
        const at = route.path.startsWith('/v1/') ? 'otlp' : 'http';
        const preflight = {
          origin,
          'access-control-request-method': route.method,
          'access-control-request-headers': 'authorization',
        };
        const asked: Shot = { method: 'OPTIONS', path, at, headers: preflight };
        return route.method === 'GET'
          ? [asked, { method: 'GET', path, at, headers: { ...scene.ownKey, origin } }]
          : [asked];
      }),
    );
    // What nobody needs credentials for may be read from everywhere, as long as none are sent along.
    const open = new Set(scene.stage.routes.filter(({ isPublic }) => isPublic).map((route) => pathWith(route, ID)));
    await scene.volley(shots, ({ headers }, { path }) => {
      const allowed = Object.keys(headers).filter((name) => name.startsWith('access-control-allow-'));
      const isForAll =
        headers['access-control-allow-origin'] === '*' && !allowed.includes('access-control-allow-credentials');
      if (allowed.length === 0 || (isForAll && open.has(path.split('?')[0] ?? ''))) return undefined;
      return `another origin may read: ${allowed.join(', ')}`;
    });
  },
};

/** None of them another spelling of loopback: such a one names nobody else. */
const HOSTS = [
  'attack.test',
  'localhost.attack.test',
  '127.0.0.1.attack.test',
  'localhost@attack.test',
  '169.254.169.254',
  '0.0.0.0',
  '[::]',
  'localhost.',
  'LOCALHOST.attack.test',
];

export const hosts: Family = {
  name: 'hosts',
  about: 'names of others that were made to point at this machine (DNS rebinding), and hosts named twice',
  holes: [
    {
      name: 'any host is served',
      open: (_, { forward }) => forward({ headers: {} }),
    },
  ],
  async run(scene) {
    const { port } = new URL(scene.target.http);
    const readable = scene.stage.routes.filter(({ method, isForPersons }) => method === 'GET' && !isForPersons);
    const shots = readable.flatMap((route) =>
      HOSTS.flatMap((host) => {
        const path = pathWith(route, ID) + queryWith(route);
        return [host, `${host}:${port}`].flatMap((name): Shot[] => [
          { method: 'GET', path, headers: { ...scene.ownKey, host: name } },
          { method: 'GET', path: `http://${name}${path}`, headers: { ...scene.ownKey, host: `localhost:${port}` } },
        ]);
      }),
    );
    await scene.volley(shots, ({ status }) =>
      status >= 200 && status < 300 ? 'a host that is not ours was served' : undefined,
    );
  },
};
