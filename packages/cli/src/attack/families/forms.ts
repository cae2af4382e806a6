// Requests in a form that their route does not take: other verbs, other media types, other encodings.
import { without, type Family } from '../family.ts';
import { exampleOf, pathWith, queryWith } from '../routes.ts';
import { wasServed } from '../scene.ts';
import type { Shot } from '../shot.ts';

const ID = '7d444840-9dc0-41d1-b245-5ffdce74fad2';
const VERBS = [
  'TRACE', 'CONNECT', 'PROPFIND', 'PROPPATCH', 'MKCOL', 'COPY', 'MOVE', 'LOCK', 'UNLOCK', 'SEARCH', 'PURGE', 'LINK',
  'UNLINK', 'BIND', 'REBIND', 'REPORT', 'MERGE', 'NOTIFY', 'SUBSCRIBE', 'SOURCE', 'QUERY', 'ACL', 'DEBUG', 'TRACK',
  'GETX', 'POST', 'PUT', 'PATCH', 'DELETE', 'GET',
]; // prettier-ignore
const OVERRIDES = ['x-http-method-override', 'x-http-method', 'x-method-override', 'x-original-method'];

export const methods: Family = {
  name: 'methods',
  about: 'every verb on every path, and headers that name another',
  holes: [
    {
      name: 'a header overrides the verb',
      open: ({ headers }, { forward }) => {
        const override = headers['x-http-method-override'];
        return override === undefined ? forward() : forward({ method: override });
      },
    },
    {
      name: 'TRACE echoes the request',
      open: ({ method, headers }, { forward }) =>
        method === 'TRACE' ? { status: 200, headers: {}, body: JSON.stringify(headers) } : forward(),
    },
  ],
  async run(scene) {
    const { routes, own } = scene.stage;
    const byPath = Map.groupBy(routes, ({ path }) => path);
    const headers = { ...scene.ownKey, 'content-type': 'application/json' };
    const wrong = [...byPath].flatMap(([path, known]) => {
      const allowed = new Set(known.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])));
      const at = path.startsWith('/v1/') ? 'otlp' : 'http';
      const target = path.replaceAll(/\{[^}]+\}/g, ID);
      return VERBS.filter((verb) => !allowed.has(verb)).flatMap((method): Shot[] => [
        { method, path: target, at, headers },
        { method, path: target, at },
        { method, path: `${target}?x=1`, at, headers, ...(method === 'CONNECT' ? {} : { body: '{}' }) },
      ]);
    });
    // The key that the tenant has is the prize: whoever is let through revokes it.
    const overridden = OVERRIDES.flatMap((name) =>
      ['DELETE', 'PUT', 'PATCH'].flatMap((verb) =>
        ['GET', 'POST'].flatMap((method): Shot[] => [
          { method, path: `/api/keys/${own.ids['keyId']}`, headers: { ...headers, [name]: verb } },
          { method, path: `/api/keys/${own.ids['keyId']}?_method=${verb}`, headers },
          {
            method,
            path: `/api/keys/${own.ids['keyId']}?_method=${verb}&x=${name}`,
            headers,
            ...(method === 'POST' ? { body: `_method=${verb}` } : {}),
          },
        ]),
      ),
    );
    await scene.volley(
      [...wrong, ...overridden],
      (answer) => (wasServed(answer) ? 'a verb that the route does not have was served' : undefined),
      {
        mayHangUp: true,
      },
    );
  },
};

const TYPES = [
  '', 'text/plain', 'text/html', 'text/xml', 'application/xml', 'application/x-www-form-urlencoded',
  'multipart/form-data', 'multipart/form-data; boundary=x', 'application/octet-stream', 'application/x-protobuf',
  'application/jsonp', 'application/json5', 'application/json+x', 'application/x-json', 'text/json', 'json', '*/*',
  'application/*', 'application/json,text/plain', 'application/json; charset=utf-16', 'application/json; charset=utf-7',
  'application/json; charset="iso-8859-1"', 'application/vnd.api+json', 'application/csp-report', 'image/jpeg',
  'application/javascript', 'application/x-yaml', 'application/msgpack', 'application/cbor', 'application/graphql',
  'text/plain; application/json', 'application/json\t;charset=utf-32', 'APPLICATION', 'application/',
]; // prettier-ignore
const ENCODINGS = ['gzip', 'deflate', 'br', 'zstd', 'compress', 'gzip, gzip', 'x-gzip', 'utf-8', 'chunked', '*'];

export const media: Family = {
  name: 'media',
  about: 'bodies under other media types, charsets and encodings than the route takes',
  holes: [
    {
      name: 'whatever comes is read as JSON',
      open: ({ headers }, { forward }) => forward({ headers: { ...headers, 'content-type': 'application/json' } }),
    },
    {
      name: 'a content encoding is ignored',
      open: ({ headers }, { forward }) => forward({ headers: without(headers, 'content-encoding') }),
    },
  ],
  async run(scene) {
    const taking = scene.stage.routes.filter(({ body, isForPersons }) => body !== undefined && !isForPersons);
    const shots = taking.flatMap((route) => {
      const path = pathWith(route, ID) + queryWith(route);
      const shot = (headers: Record<string, string>): Shot => ({
        method: route.method,
        path,
        headers: { ...scene.ownKey, ...headers },
        body: JSON.stringify(exampleOf(route.body ?? {})),
      });
      return [
        ...TYPES.map((type) => shot({ 'content-type': type })),
        ...ENCODINGS.map((encoding) => shot({ 'content-type': 'application/json', 'content-encoding': encoding })),
      ];
    });
    await scene.volley(shots, (answer) => (wasServed(answer) ? 'a body of another kind was read' : undefined));
    const forms = scene.stage.routes.filter(({ mediaTypes }) => mediaTypes.includes('multipart/form-data'));
    const misformed = forms.flatMap((route) =>
      [...TYPES, 'application/json'].map((type): Shot => ({
        method: route.method,
        path: pathWith(route, ID),
        headers: { ...scene.ownKey, 'content-type': type },
        body: '{"contentHash":"x"}',
      })),
    );
    await scene.volley(misformed, (answer) => (wasServed(answer) ? 'a body of another kind was read' : undefined));
  },
};
