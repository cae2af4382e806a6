// Too much at once: bodies, heads and forms beyond every limit, and little bodies that become large ones.
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync, deflateRawSync } from 'node:zlib';
import { reply, type Family } from '../family.ts';
import { pathWith, queryWith } from '../routes.ts';
import { wasServed, type Scene } from '../scene.ts';
import type { Shot } from '../shot.ts';

const ID = '7d444840-9dc0-41d1-b245-5ffdce74fad2';
const MB = 1_048_576;
const JSON_TYPE = { 'content-type': 'application/json' };

export const sizes: Family = {
  name: 'sizes',
  about: 'bodies, heads, addresses and forms beyond every limit',
  holes: [
    {
      name: 'a body may be as long as it likes',
      open: ({ body }, { forward }) => (body.length > MB ? reply(200, {}) : forward()),
    },
    {
      name: 'a form may have any number of parts',
      open: ({ body }, { forward }) => (body.toString('latin1').split('--x').length > 50 ? reply(200, {}) : forward()),
    },
  ],
  async run(scene) {
    const { routes } = scene.stage;
    const headers = { ...scene.ownKey, ...JSON_TYPE };
    const writes = routes.filter(({ body, isForPersons }) => body !== undefined && !isForPersons);
    const long = writes.flatMap((route) =>
      [`{"a":"${'x'.repeat(3 * MB)}"}`, `${' '.repeat(3 * MB)}{}`, `[${'0,'.repeat(MB)}0]`].map((body, i): Shot => ({
        method: route.method,
        path: `${pathWith(route, ID)}?n=${i}`,
        headers,
        body,
      })),
    );
    await scene.volley(long, (answer) => (wasServed(answer) ? 'a body beyond the limit was read' : undefined), {
      mayHangUp: true,
    });
    const reads = routes.filter(({ method, isForPersons, isPublic }) => method === 'GET' && !isForPersons && !isPublic);
    const heads = reads.flatMap((route): Shot[] => {
      const path = pathWith(route, ID) + queryWith(route);
      const join = path.includes('?') ? '&' : '?';
      return [
        { method: 'GET', path, headers: { ...scene.ownKey, 'x-large': 'x'.repeat(20_000) } },
        {
          method: 'GET',
          path,
          headers: { ...scene.ownKey, cookie: Array.from({ length: 2_000 }, (_, i) => `c${i}=${i}`).join('; ') },
        },
        {
          method: 'GET',
          path,
          headers: {
            ...scene.ownKey,
            ...Object.fromEntries(Array.from({ length: 1_500 }, (_, i) => [`x-${i}`, 'y'.repeat(8)])),
          },
        },
        { method: 'GET', path: `${path}${join}q=${'x'.repeat(9_000)}`, headers: scene.ownKey },
        { method: 'GET', path: `${path}${join}${'q=1&'.repeat(2_500)}`, headers: scene.ownKey },
        { method: 'GET', path: `/${'a/'.repeat(7_000)}`, headers: scene.ownKey },
        { method: 'GET', path: `${path}${join}q=${'%25'.repeat(2_900)}`, headers: scene.ownKey },
      ];
    });
    await scene.volley(
      heads,
      (answer, { path, headers: sent = {} }) =>
        wasServed(answer) && (sent['x-large'] !== undefined || path.length > 8_500) && path.includes('=')
          ? 'a head beyond the limit was read'
          : undefined,
      { mayHangUp: true },
    );
    await scene.volley(
      forms(scene),
      (answer) => (wasServed(answer) ? 'a form beyond the limits was read' : undefined),
      { mayHangUp: true },
    );
    await scene.volley(
      endless(scene),
      (answer) => (wasServed(answer) ? 'a form beyond the limits was read' : undefined),
      { mayHangUp: true },
    );
  },
};

const part = (name: string, content: string, more = ''): string =>
  `--x\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n${content}\r\n`;

/** Forms that flood their reader; each at every route that takes one. */
function forms(scene: Scene): Shot[] {
  const file = '; filename="a.jpg"\r\ncontent-type: image/jpeg';
  const bodies = [
    Array.from({ length: 5_000 }, (_, i) => part(`f${i}`, 'x')).join(''),
    Array.from({ length: 500 }, (_, i) => part('image', `${i}`, file)).join(''),
    part('image', 'x'.repeat(27 * MB), file),
    part('photoId', 'x'.repeat(2 * MB)),
    part('request', '{'.repeat(MB)),
    part('image'.repeat(20_000), 'x'),
    part('image', 'x', `; filename="${'a'.repeat(100_000)}"`),
    part('image', 'x', `${'\r\nx-y: z'.repeat(20_000)}`),
    `--x\r\n${'\r\n'.repeat(10_000)}`,
    '--x\r\ncontent-disposition: form-data; name="image"\r\n\r\nno end',
    '--x--\r\n',
    '',
    'no boundary at all',
    `--x\r\n\r\n${'--x\r\n\r\n'.repeat(10_000)}`,
    part('__proto__', 'x', file) + part('constructor', 'y'),
    part('image', '', "; filename*=UTF-8''%00%ff"),
    part('image', 'x', '; filename="../../../../etc/passwd"'),
  ];
  const types = [
    'multipart/form-data; boundary=x',
    'multipart/form-data',
    'multipart/form-data; boundary=',
    `multipart/form-data; boundary=${'x'.repeat(5_000)}`,
    'multipart/form-data; boundary="x\u0001"',
  ];
  const routes = scene.stage.routes.filter(({ mediaTypes }) => mediaTypes.includes('multipart/form-data'));
  return routes.flatMap((route) =>
    bodies.flatMap((body, i) =>
      types.slice(0, body.length > MB ? 1 : types.length).map((type): Shot => ({
        method: route.method,
        path: `${pathWith(route, ID)}?n=${i}`,
        headers: { ...scene.ownKey, 'content-type': sendableType(type) },
        body: `${body}--x--\r\n`,
      })),
    ),
  );
}

function sendableType(type: string): string {
  return type.replaceAll(/[^\x20-\x7e]/g, '');
}

/** Lengths that are claimed and never come are refused before they do. */
function endless(scene: Scene): Shot[] {
  const routes = scene.stage.routes.filter(
    ({ method, isForPersons, mediaTypes }) => method !== 'GET' && !isForPersons && mediaTypes.length > 0,
  );
  return routes.flatMap((route) =>
    ['999999999999', '18446744073709551615', '9007199254740993'].map((length): Shot => ({
      method: route.method,
      path: pathWith(route, ID),
      at: route.path.startsWith('/v1/') ? 'otlp' : 'http',
      headers: {
        ...scene.ownKey,
        'content-type': route.mediaTypes[0] ?? '',
        'content-length': length,
        connection: 'close',
      },
      body: '{}',
    })),
  );
}

const OVER_LIMIT_MB = 72;

/** Packed once; each becomes more than the 64 MB that a body may have. */
function packed(): [encoding: string, bytes: Buffer][] {
  const zeros = Buffer.alloc(OVER_LIMIT_MB * MB);
  const spaces = Buffer.alloc(OVER_LIMIT_MB * MB, ' ');
  const once = gzipSync(zeros, { level: 9 });
  const members = Buffer.concat(Array.from({ length: 9 }, () => gzipSync(Buffer.alloc(8 * MB), { level: 9 })));
  return [
    ['gzip', once],
    ['gzip', gzipSync(spaces, { level: 9 })],
    ['gzip', members],
    ['gzip', Buffer.concat([once, Buffer.from('junk')])],
    ['deflate', deflateSync(zeros, { level: 9 })],
    ['deflate', deflateRawSync(zeros, { level: 9 })],
    ['zstd', zstdCompressSync(zeros)],
    ['br', brotliCompressSync(zeros)],
    ['gzip, gzip', gzipSync(once)],
    ['GZIP', once],
    ['x-gzip', once],
  ];
}

export const bombs: Family = {
  name: 'bombs',
  about: 'little bodies that become large ones, and packed bodies that are broken',
  holes: [
    {
      name: 'what is packed is unpacked whatever it becomes',
      open: ({ headers, body }, { forward }) =>
        headers['content-encoding'] === 'gzip' && body.length > 50_000 ? reply(200, {}) : forward(),
    },
    {
      name: 'what is broken breaks the server',
      open: ({ headers, body }, { forward }) =>
        headers['content-encoding'] !== undefined && body.length < 40 ? reply(500, 'Z_DATA_ERROR') : forward(),
    },
  ],
  async run(scene) {
    const paths = ['/v1/traces', '/v1/logs', '/v1/metrics'];
    const types = ['application/x-protobuf', 'application/json'];
    const shot = (path: string, type: string, encoding: string, body: Buffer): Shot => ({
      method: 'POST',
      at: 'otlp',
      path,
      headers: { ...scene.ownKey, 'content-type': type, 'content-encoding': encoding },
      body,
    });
    const broken = brokenOnes(scene);
    await scene.volley(
      broken.flatMap(([encoding, bytes]) => types.map((type) => shot(scene.random.pick(paths), type, encoding, bytes))),
    );
    // one after another: what is measured is one of them, not how many fit into the memory at once
    const whole = packed().flatMap(([encoding, bytes]) =>
      paths.flatMap((path) => types.map((type) => shot(path, type, encoding, bytes))),
    );
    for (const one of scene.some(whole)) {
      await scene.fire(one, (answer) => (wasServed(answer) ? 'a bomb was taken' : undefined), { mayHangUp: true });
    }
  },
};

/** Cut, changed and mixed-up packed bodies. */
function brokenOnes(scene: Scene): [string, Buffer][] {
  const plain = Buffer.from('{"resourceSpans":[]}');
  const packers = [
    ['gzip', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['zstd', zstdCompressSync(plain)],
  ] as const;
  return packers.flatMap(([encoding, good]) => [
    ...Array.from({ length: good.length }, (_, i): [string, Buffer] => [encoding, good.subarray(0, i)]),
    ...Array.from({ length: 300 }, (): [string, Buffer] => {
      const bytes = Buffer.from(good);
      bytes[scene.random.below(bytes.length)] = scene.random.below(256);
      return [encoding, bytes];
    }),
    ...packers.filter(([other]) => other !== encoding).map(([other]): [string, Buffer] => [other, good]),
    [encoding, scene.random.bytes(500)],
    [encoding, Buffer.alloc(0)],
  ]);
}
