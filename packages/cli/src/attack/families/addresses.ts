// Addresses that lead out: to files beside ours, into headers, to hosts of others.
import { readFileSync } from 'node:fs';
import { reply, type Family } from '../family.ts';
import { pathWith, queryWith } from '../routes.ts';
import type { Answer, Shot } from '../shot.ts';

const UP = [
  '../', '..%2f', '%2e%2e/', '%2e%2e%2f', '..\\', '..%5c', '%2e%2e%5c', '..%252f', '%252e%252e%252f', '....//',
  '..;/', '..%c0%af', '..%e0%80%af', '%c0%ae%c0%ae/', '..%u2215', '.%00./', '..%00/', './/../', '..%09/', '..%0d/',
  '..／', '．．/', '%uff0e%uff0e/', '/%2e/%2e%2e/',
]; // prettier-ignore
const BASES = ['/', '/assets/', '/docs/', '/api/', '/api/traces/', '/.well-known/', '/health/', '/api/keys/', '//'];
const FILES = [
  'etc/passwd',
  'package.json',
  'kek',
  'first-run.json',
  'proc/self/environ',
  'packages/server/src/main.ts',
];
const PLAIN = [
  '/.git/config', '/.git/HEAD', '/.env', '/.npmrc', '/kek', '/first-run.json', '/data/kek', '/.data/kek',
  '/package.json', '/package-lock.json', '/node_modules/hono/package.json', '/server.js', '/main.ts', '/src/main.ts',
  '/proc/self/environ', '/etc/passwd', '//etc/passwd', '/./etc/passwd', 'file:///etc/passwd', '/%00', '/index.html%00.png',
  '/docs/../../package.json', '/docs/%2e%2e/%2e%2e/package.json', '/debug', '/admin', '/phpinfo.php', '/actuator/env',
  '/console', '/graphql', '/.DS_Store', '/backup.sql', '/dump.sql', '/.well-known/../kek', '/docs/swagger-ui.css.map',
  '/metrics/../kek', '/C:/Windows/win.ini', '/\\\\attack.test\\share', '/~root/.ssh/id_rsa',
]; // prettier-ignore

/** What stands in the files and in no answer of ours. */
const INSIDE = [
  /root:[x*]?:0:0/,
  /"lumatrace-root"/,
  /"dependencies"\s*:/,
  /composition root/,
  /\[core\]\s*repositoryformat/,
  /PATH=\/[a-z]/,
];

export const paths: Family = {
  name: 'paths',
  about: 'ways out of the folder that is served, in many spellings',
  holes: [
    {
      name: 'encoded dots lead out',
      open({ url }, { forward }) {
        const isOut = decodeURIComponent(
          url.replaceAll(/%(?![0-9a-f]{2})/gi, '%25').replaceAll(/%[c-f][0-9a-f]/gi, ''),
        ).includes('../');
        return isOut && url.endsWith('etc/passwd') ? reply(200, readFileSync('/etc/passwd', 'utf8')) : forward();
      },
    },
    {
      name: 'the file of the program is served',
      open: ({ url }, { forward }) => (url === '/package.json' ? reply(200, '{"name":"lumatrace-root"}') : forward()),
    },
  ],
  async run(scene) {
    const climbing = BASES.flatMap((base) =>
      UP.flatMap((up) => FILES.flatMap((file) => [1, 3, 8].map((times) => base + up.repeat(times) + file))),
    );
    const shots = [...climbing, ...PLAIN].flatMap((path): Shot[] => [
      { method: 'GET', path: asSent(path) },
      { method: 'GET', path: asSent(path), headers: scene.ownKey },
    ]);
    await scene.volley(shots, fileIn, { mayHangUp: true });
  },
};

/** Bytes of UTF-8 for what is no ASCII: Node refuses wider characters in a path. */
function asSent(path: string): string {
  return Buffer.from(path, 'utf8')
    .toString('latin1')
    .replaceAll(/[^\x21-\x7e]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
}

function fileIn({ status, text }: Answer): string | undefined {
  const found = status < 400 ? INSIDE.find((pattern) => pattern.test(text)) : undefined;
  return found === undefined ? undefined : `a file was given: ${found.source}`;
}

const BREAKS = [
  '%0d%0a',
  '%0a',
  '%0d',
  '%E5%98%8D%E5%98%8A',
  '%c4%8d%c4%8a',
  '\\r\\n',
  '%250d%250a',
  '%u000d%u000a',
  '%00%0d%0a',
];
const CARRIED = ['x-injected: yes', 'set-cookie: injected=yes', 'location: https://attack.test', 'content-length: 0'];

export const headers: Family = {
  name: 'headers',
  about: 'line breaks in addresses and ids that end up in headers of the answer',
  holes: [
    {
      name: 'the address is repeated in a header',
      async open({ url }, { forward }) {
        const answer = await forward();
        const [, injected] = /%0d%0a(x-injected)/i.exec(url) ?? [];
        return injected === undefined ? answer : { ...answer, headers: { ...answer.headers, 'x-injected': 'yes' } };
      },
    },
    {
      name: 'the id of a request is repeated unread',
      async open({ headers: given }, { forward }) {
        const answer = await forward();
        return { ...answer, headers: { ...answer.headers, 'x-request-id': given['x-request-id'] ?? '' } };
      },
    },
  ],
  async run(scene) {
    const targets = scene.stage.routes.filter(({ method, isForPersons }) => method === 'GET' && !isForPersons);
    const injected = targets.flatMap((route) =>
      BREAKS.flatMap((stop) =>
        CARRIED.flatMap((line): Shot[] => {
          const text = `x${stop}${encodeURIComponent(line).replaceAll('%3A', ':')}`;
          const plain = pathWith(route, '7d444840-9dc0-41d1-b245-5ffdce74fad2');
          return [
            { method: 'GET', path: `${plain}?q=${text}`, headers: scene.ownKey },
            { method: 'GET', path: `${plain}/${text}`, headers: scene.ownKey },
          ];
        }),
      ),
    );
    const ids = [
      '<script>',
      '"><svg>',
      'a b',
      'a;b',
      'a'.repeat(129),
      '%0d%0ax-injected: yes',
      '\t',
      '{}',
      "'",
      '\u00e9',
      '$(id)',
      '\u001b[31m',
    ];
    const repeated = targets.flatMap((route) =>
      ids.map((id): Shot => ({
        method: 'GET',
        path: pathWith(route, 'x') + queryWith(route),
        headers: { ...scene.ownKey, 'x-request-id': id },
      })),
    );
    await scene.volley([...injected, ...repeated], injection, { mayHangUp: true });
  },
};

function injection({ headers: got }: Answer, { headers: sent = {} }: Shot): string | undefined {
  if (got['x-injected'] !== undefined) return 'a header was injected';
  if (String(got['set-cookie'] ?? '').includes('injected')) return 'a cookie was injected';
  const id = sent['x-request-id'];
  return id !== undefined && got['x-request-id'] === id ? 'an id that no log should hold was taken' : undefined;
}

const ELSEWHERE = [
  'https://attack.test', '//attack.test', '/\\attack.test', '\\\\attack.test', 'https:attack.test', '///attack.test',
  '/%2f%2fattack.test', '/.attack.test', 'javascript:alert(1)', 'data:text/html,x', '/%09/attack.test', '//attack.test/%2e%2e',
  'http://localhost@attack.test', '/%5cattack.test', '//attack%E3%80%82test', '/;@attack.test', '////attack.test/..',
]; // prettier-ignore
const NEXT = [
  'next',
  'url',
  'redirect',
  'redirect_uri',
  'return',
  'returnTo',
  'return_to',
  'continue',
  'dest',
  'callback',
  'to',
  'r',
  'u',
];

export const redirects: Family = {
  name: 'redirects',
  about: 'addresses of others where one may be sent on to',
  holes: [
    {
      name: 'next is followed',
      open({ url }, { forward }) {
        const next = new URL(url, 'http://localhost').searchParams.get('next');
        return next === null ? forward() : reply(302, '', { location: next });
      },
    },
    {
      name: 'a trailing slash is taken away by a redirect',
      open: ({ url }, { forward }) =>
        url.endsWith('/') && url.length > 1 ? reply(301, '', { location: url.slice(0, -1) }) : forward(),
    },
  ],
  async run(scene) {
    const targets = [
      '/',
      '/login',
      '/auth/me',
      '/auth/login',
      '/docs',
      '/api/settings',
      '/traces',
      '/openapi.json',
      '/auth/logout',
    ];
    const shots = ELSEWHERE.flatMap((elsewhere) => [
      ...targets.flatMap((target) =>
        NEXT.map((name): Shot => ({
          method: 'GET',
          path: `${target}?${name}=${encodeURIComponent(elsewhere)}`,
          headers: scene.ownKey,
        })),
      ),
      ...['', '/', '/..', '/%2e%2e', '/docs', '?'].map((end): Shot => ({
        method: 'GET',
        path: asTarget(elsewhere) + end,
      })),
      ...['x-forwarded-host', 'x-host', 'x-original-url', 'x-rewrite-url', 'forwarded'].map((name): Shot => ({
        method: 'GET',
        path: '/docs/',
        headers: { [name]: elsewhere },
      })),
    ]);
    const { host } = new URL(scene.target.http);
    await scene.volley(shots, ({ status, headers: got }) => leadsElsewhere(status, String(got.location ?? ''), host), {
      mayHangUp: true,
    });
  },
};

function asTarget(text: string): string {
  return text.startsWith('/') ? text : `/${text.replaceAll('\\', '%5c')}`;
}

function leadsElsewhere(status: number, location: string, host: string): string | undefined {
  if (status < 300 || status > 399 || location === '') return undefined;
  const base = `http://${host}`;
  const isOwn = URL.canParse(location, base) && new URL(location, base).host === host;
  return isOwn ? undefined : `sent on to ${location}`;
}
