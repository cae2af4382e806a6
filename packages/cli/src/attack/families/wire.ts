// Below HTTP's surface: requests that two readers would divide differently, and requests that never end.
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Family } from '../family.ts';
import type { Scene } from '../scene.ts';
import { quantile } from '../tally.ts';

const CHUNKED = [
  'Transfer-Encoding: chunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked, identity',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding:\r\n chunked',
  ' Transfer-Encoding: chunked',
  'X: y\r\n Transfer-Encoding: chunked',
  'X: y\nTransfer-Encoding: chunked',
  'Transfer-Encoding: \u000bchunked',
  'Transfer-Encoding: "chunked"',
  'Transfer-Encoding: chunked\u0000',
  'Transfer\u0000-Encoding: chunked',
  'transfer-encoding: CHUNKED',
  'Transfer-Encoding: chunked;q=1',
  'Transfer-Encoding: gzip',
  'Transfer-Encoding: chunk',
  'Transfer-Encoding: \u00e7hunked',
  'Content-Encoding: x\r\nTransfer-Encoding:chunked',
];
const LENGTHS = [
  '+5',
  '-1',
  '0x5',
  '5, 5',
  '5,6',
  '5 5',
  '5.0',
  '5e0',
  ' ',
  '99999999999999999999',
  '\u00b2',
  '5\u0000',
  '5\r\nContent-Length: 6',
  '5\r\n Content-Length: 6',
  '5\nX: y',
  '5;x',
];
const CHUNKS = [
  '0x5',
  '+5',
  '-5',
  '5 ',
  ' 5',
  '5\u0000',
  'g',
  'fffffffffffffffff',
  '5;\n',
  '5\n',
  '5\r',
  '',
  '5,5',
  '00000000000000000000005g',
];
const LINES = [
  'GET  /api/settings HTTP/1.1',
  'GET\t/api/settings\tHTTP/1.1',
  'GET /api/settings HTTP/1.1 HTTP/1.1',
  'GET /api/settings HTTP/1.10',
  'GET /api/settings HTTP/3.0',
  'GET /api/settings HTTP/2.0',
  'GET /api/settings http/1.1',
  'GET /api/settings HTTP/1.1\u0000',
  'GET /api/settings',
  'GET /api/set\u0000tings HTTP/1.1',
  'GET /api/\nsettings HTTP/1.1',
  'G ET /api/settings HTTP/1.1',
  ' GET /api/settings HTTP/1.1',
  'get /api/settings HTTP/1.1',
  'PRI * HTTP/2.0',
  'GET api/settings HTTP/1.1',
  'GET \\api\\settings HTTP/1.1',
];
const STRAY = [
  'Host: attack.test\r\nHost: localhost',
  'X\u0000: y',
  'X y: z',
  'X: y\u0000',
  ': y',
  'X',
  'X : y',
  'X: y\rZ: w',
  '\u00e9: y',
  'Content-Length: 5\r\nContent-Length: 6',
  'Content-Length: 5\r\ncontent-length: 5x',
];

/** The first request of a pair; what stands after it is the second, which must never be read as one. */
function requests(scene: Scene): string[][] {
  const { authorization } = scene.ownKey;
  const { port } = new URL(scene.target.http);
  const second = `GET /api/settings HTTP/1.1\r\nHost: localhost:${port}\r\nAuthorization: ${authorization}\r\n\r\n`;
  const lead = (line: string, ...fields: string[]): string =>
    [
      line,
      `Host: localhost:${port}`,
      `Authorization: ${authorization}`,
      'Content-Type: application/json',
      ...fields,
    ].join('\r\n');
  const targets = ['/api/settings', '/api/prices/quote', '/auth/login', '/api/v1/photos/register'];
  const posts = targets.map((target) => `POST ${target} HTTP/1.1`);
  const ambiguous = posts.flatMap((post) => [
    ...CHUNKED.flatMap((field) => [
      [`${lead(post, 'Content-Length: 5', field)}\r\n\r\n0\r\n\r\n${second}`],
      [`${lead(post, field, `Content-Length: ${second.length + 5}`)}\r\n\r\n0\r\n\r\n`, second],
      [`${lead(post, field, 'Content-Length: 0')}\r\n\r\n`, second],
    ]),
    ...LENGTHS.map((length) => [`${lead(post, `Content-Length: ${length}`)}\r\n\r\nhello${second}`]),
    ...CHUNKS.map((size) => [
      `${lead(post, 'Transfer-Encoding: chunked')}\r\n\r\n${size}\r\nhello\r\n0\r\n\r\n${second}`,
    ]),
    ...STRAY.map((field) => [`${lead(post, field, 'Content-Length: 0')}\r\n\r\n${second}`]),
  ]);
  const lines = LINES.flatMap((line) => [[`${lead(line)}\r\n\r\n`], [`${lead(line)}\n\n${second}`]]);
  const upgrades = ['h2c', 'websocket', 'TLS/1.0', 'HTTP/2.0'].map((to) => [
    `${lead('GET /api/settings HTTP/1.1', `Upgrade: ${to}`, 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA')}\r\n\r\n`,
  ]);
  return [...ambiguous, ...lines, ...upgrades];
}

export const smuggling: Family = {
  name: 'smuggling',
  about: 'requests that two readers would divide differently: lengths, chunks, folds, line ends, upgrades',
  holes: [
    { name: 'whatever looks like a request is answered', serve: () => listening(createServer(answerEach)) },
    {
      name: 'an upgrade that nobody asked for is granted',
      serve: () =>
        listening(
          createServer((socket) => {
            socket.on('error', () => {});
            socket.on('data', (bytes) => {
              const isUpgrade = bytes.includes('Upgrade: h2c');
              socket.end(isUpgrade ? 'HTTP/1.1 101 Switching Protocols\r\n\r\n' : REFUSED);
            });
          }),
        ),
    },
  ],
  async run(scene) {
    await scene.volleyRaw(requests(scene), ({ text }) => {
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
      if (statuses.includes(101)) return 'the connection was handed to another protocol';
      if (statuses.length > 1) return `${statuses.length} answers to an ambiguous request: ${statuses.join(', ')}`;
      return /"tenantId"/.test(text) && !isHarmless(text) ? 'an ambiguous request was served' : undefined;
    });
  },
};

/** An upgrade that is not granted is answered as if it had not been asked for (RFC 9110, section 7.8). */
function isHarmless(text: string): boolean {
  return text.startsWith('HTTP/1.1 200') && text.split('HTTP/1.1 ').length === 2;
}

const REFUSED = 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

function answerEach(socket: Socket): void {
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    const count = bytes.toString('latin1').match(/(?:GET|POST) \S+ HTTP/g)?.length ?? 0;
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'.repeat(count));
  });
}

async function listening(server: ReturnType<typeof createServer>): Promise<{ port: number; close(): void }> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

const SLOW_SOCKETS = 200;
/** The server gives the head 15 s and a JSON body 20 s, and looks every 5 s. */
const ENDED_AFTER_MS = 27_000;
const TRICKLE_MS = 1_000;
const OTHERS_P95_MS = 1_000;

export const slowness: Family = {
  name: 'slowness',
  about: 'requests that come a byte a second, and whether others are served meanwhile',
  holes: [
    {
      name: 'nobody is ever cut off',
      serve: () => {
        const server = createHttpServer(
          { headersTimeout: 0, requestTimeout: 0, connectionsCheckingInterval: 1_000 },
          (_, outgoing) => outgoing.end('{}'),
        );
        return listening(server);
      },
    },
  ],
  async run(scene) {
    const { port } = new URL(scene.target.http);
    const slow = Array.from({ length: Math.min(SLOW_SOCKETS, scene.stage.most) }, (_, i) =>
      trickle(scene, Number(port), i),
    );
    const times: number[] = [];
    const endMs = performance.now() + ENDED_AFTER_MS;
    while (performance.now() < endMs && slow.some(({ isOpen }) => isOpen())) {
      const answer = await scene.ask({ method: 'GET', path: '/health/live' });
      times.push(answer.status === 200 ? answer.ms : ENDED_AFTER_MS);
      await sleep(100);
    }
    const p95Ms = quantile(times, 0.95);
    scene.tally.more['othersP95Ms'] = Math.round(p95Ms);
    slow.forEach(({ isOpen, end }, i) => {
      const wasOpen = isOpen();
      end();
      scene.tally.count(['slow', String(i)], ENDED_AFTER_MS);
      scene.verdict(wasOpen ? 'a request that did not come was waited for' : undefined, `slow request ${i}`);
    });
    scene.verdict(p95Ms > OTHERS_P95_MS ? `others waited ${Math.round(p95Ms)} ms` : undefined, 'GET /health/live');
  },
};

/** A head that never ends, a body that never ends, or chunks that never end; by turns. */
function trickle(scene: Scene, port: number, i: number): { isOpen(): boolean; end(): void } {
  const socket = connect({ port, host: '127.0.0.1' });
  let isOpen = true;
  const { authorization } = scene.ownKey;
  const head = `POST /api/prices/quote HTTP/1.1\r\nHost: localhost:${port}\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\n`;
  const begins = [head, `${head}Content-Length: 1000\r\n\r\n{`, `${head}Transfer-Encoding: chunked\r\n\r\n`];
  const goesOn = [`X-${i}: y\r\n`, ' ', '1\r\n \r\n'];
  const kind = i % begins.length;
  const timer = setInterval(() => socket.writable && socket.write(goesOn[kind] ?? ' '), TRICKLE_MS);
  const closed = (): void => {
    isOpen = false;
    clearInterval(timer);
  };
  socket.on('error', () => {});
  socket.on('data', () => {});
  socket.once('end', closed);
  socket.once('close', closed);
  socket.once('connect', () => socket.write(begins[kind] ?? ''));
  return {
    isOpen: () => isOpen,
    end() {
      closed();
      socket.destroy();
    },
  };
}
