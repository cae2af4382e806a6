// A listener that is full of sockets which only sit there: callers are answered all the same, over plain HTTP and TLS.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, get as getPlain, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, get as getTls } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { generatedFiles } from '../tls/tls.ts';
import { boundConnections } from './connections.ts';

const MOST = 10;
let folder: string;
let pair: { cert: string; key: string };
let ca: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-connections-'));
  const files = await generatedFiles(folder, ['localhost']);
  ca = await readFile(files.certFile.replace('cert.pem', 'ca.pem'), 'utf8');
  pair = { cert: await readFile(files.certFile, 'utf8'), key: await readFile(files.keyFile, 'utf8') };
});
after(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

const answer: RequestListener = (request, response) => {
  if (request.url === '/slow') return;
  request.resume().on('end', () => response.end('here'));
};

for (const scheme of ['http', 'https'] as const) {
  const open: Socket[] = [];
  let server: Server;
  let port: number;
  async function sit(text = ''): Promise<Socket> {
    const plain = { host: '127.0.0.1', port };
    const socket = scheme === 'http' ? connect(plain) : connectTls({ ...plain, ca, servername: 'localhost' });
    socket.on('error', () => {});
    open.push(socket);
    await once(socket, scheme === 'http' ? 'connect' : 'secureConnect').catch(() => undefined);
    if (text !== '') socket.write(text);
    socket.resume();
    return socket;
  }

  function ask(): Promise<number | string> {
    return new Promise((done) => {
      const at = { host: 'localhost', port, path: '/', agent: false, family: 4 } as const;
      const take = (response: { statusCode?: number; resume(): unknown }): void => {
        response.resume();
        done(response.statusCode ?? 0);
      };
      const request = scheme === 'http' ? getPlain(at, take) : getTls({ ...at, ca }, take);
      request.on('error', (error: NodeJS.ErrnoException) => done(String(error.code)));
    });
  }

  test(`over ${scheme} the longest idle makes room, whoever is in a request stays, and only then is a caller refused`, async () => {
    server = scheme === 'http' ? createServer(answer) : createTlsServer(pair, answer);
    boundConnections(server, MOST);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    port = (server.address() as AddressInfo).port;
    try {
      const busy = await sit('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await delay(50);
      const idle: Socket[] = [];
      for (let n = 0; n < MOST - 1; n++) idle.push(await sit(n % 2 === 0 ? '' : 'GET / HTTP/1.1\r\nHo'));
      for (let n = 0; n < 3; n++) assert.equal(await ask(), 200);
      await delay(50);
      assert.equal(busy.closed, false, 'the busy one, although the oldest');
      assert.deepEqual(
        idle.map((socket) => socket.closed),
        idle.map((_, i) => i < 1),
        'one place is enough for callers who come one after the other',
      );
      // an answered one is put last: the next to go is another one
      const used = idle[2] as Socket;
      used.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await delay(50);
      for (let n = 0; n < 3; n++) await sit();
      await delay(50);
      assert.deepEqual([used.closed, idle[3]?.closed], [false, true]);
      for (let n = 0; n < MOST; n++) await sit('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await delay(100);
      assert.notEqual(await ask(), 200, 'all are in a request');
      assert.equal(busy.closed, false);
      for (const socket of open) socket.destroy();
      await delay(50);
      assert.equal(await ask(), 200);
    } finally {
      for (const socket of open) socket.destroy();
      server.closeAllConnections();
      server.close();
    }
  });
}
