// What two readers of one connection may understand differently, sockets that only sit there, and a limiter that is down.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { z } from 'zod';
import { Database } from '../storage/database.ts';
import { openHouse } from '../test/house.ts';
import { json, route } from './route.ts';
import { createHttp } from './server.ts';

let echoed = 0;
const echo = route({
  method: 'POST',
  path: '/api/v1/echo',
  tag: 'operations',
  summary: 'Says what it heard.',
  policy: { kind: 'public', because: 'a test' },
  limit: 'public',
  body: z.object({ text: z.string() }),
  maxBodyBytes: 2_000,
  answers: { 200: { description: 'The same.', schema: z.unknown() } },
  handle({ body }) {
    echoed++;
    return Promise.resolve(json(body));
  },
});
const house = await openHouse({ routes: () => [echo] });
const options = { routes: house.routes, access: house.access, log: pino({ enabled: false }) };
const { port } = await house.http.listen({ host: '127.0.0.1', port: 0 });
after(() => house.close());

async function raw(text: string, waitMs = 700): Promise<{ answer: string; isClosed: boolean }> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  let isClosed = false;
  socket.on('data', (chunk) => (answer += chunk.toString()));
  socket.on('close', () => (isClosed = true)).on('error', () => {});
  await once(socket, 'connect');
  socket.write(text, 'latin1');
  await Promise.race([once(socket, 'close'), delay(waitMs)]);
  socket.destroy();
  return { answer, isClosed };
}

const HEAD = 'POST /api/v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
const BODY = '{"text":"here"}';
const CHUNKED = `f\r\n${BODY}\r\n0\r\n\r\n`;
const SMUGGLED = 'GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** Each is followed by a second request that only a reader who was fooled would answer. */
const AMBIGUOUS: Readonly<Record<string, string>> = {
  'CL.TE': `${HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'TE.CL': `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${CHUNKED}`,
  'TE.TE': `${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${CHUNKED}`,
  'TE of another name': `${HEAD}Transfer-Encoding: xchunked\r\n\r\n${CHUNKED}`,
  'TE, chunked not last': `${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n${CHUNKED}`,
  'TE after a blank': `${HEAD}Transfer-Encoding : chunked\r\n\r\n${CHUNKED}`,
  'TE folded': `${HEAD}Transfer-Encoding:\r\n chunked\r\n\r\n${CHUNKED}`,
  'two lengths': `${HEAD}Content-Length: 15\r\nContent-Length: 0\r\n\r\n${BODY}`,
  'a list of lengths': `${HEAD}Content-Length: 15, 0\r\n\r\n${BODY}`,
  'a signed length': `${HEAD}Content-Length: +15\r\n\r\n${BODY}`,
  'a hexadecimal length': `${HEAD}Content-Length: 0xf\r\n\r\n${BODY}`,
  'a negative length': `${HEAD}Content-Length: -1\r\n\r\n${BODY}`,
  'a folded header': `${HEAD}X-Note: one\r\n two\r\nContent-Length: 15\r\n\r\n${BODY}`,
  'a bare LF between headers': `${HEAD.replaceAll('\r\n', '\n')}Content-Length: 15\n\n${BODY}`,
  'a bare CR in a value': `${HEAD}X-Note: one\rtwo\r\nContent-Length: 15\r\n\r\n${BODY}`,
  'a NUL in a value': `${HEAD}X-Note: one\0two\r\nContent-Length: 15\r\n\r\n${BODY}`,
  'a chunk size with a sign': `${HEAD}Transfer-Encoding: chunked\r\n\r\n+f\r\n${BODY}\r\n0\r\n\r\n`,
  'a chunk size with 0x': `${HEAD}Transfer-Encoding: chunked\r\n\r\n0xf\r\n${BODY}\r\n0\r\n\r\n`,
  'a chunk size too large to count': `${HEAD}Transfer-Encoding: chunked\r\n\r\n1000000000000000f\r\n${BODY}\r\n0\r\n\r\n`,
  'a bare LF after a chunk size': `${HEAD}Transfer-Encoding: chunked\r\n\r\nf\n${BODY}\r\n0\r\n\r\n`,
  'a bare LF in a chunk extension': `${HEAD}Transfer-Encoding: chunked\r\n\r\nf;a\nb\r\n${BODY}\r\n0\r\n\r\n`,
  'a chunk that is longer than it says': `${HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\n${BODY}\r\n0\r\n\r\n`,
  'chunk extensions without end': `${HEAD}Transfer-Encoding: chunked\r\n\r\nf;${'a'.repeat(20_000)}\r\n${BODY}\r\n0\r\n\r\n`,
  'two hosts': `${HEAD}Host: attacker.example\r\nContent-Length: 15\r\n\r\n${BODY}`,
};
for (const [name, request] of Object.entries(AMBIGUOUS))
  test(`${name}: refused, the connection ends, and what follows is not answered`, async () => {
    const before = echoed;
    const { answer, isClosed } = await raw(request + SMUGGLED);
    assert.match(answer, /^HTTP\/1\.1 (400|413) /);
    assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1, answer);
    assert.doesNotMatch(answer, /"UP"/);
    assert.ok(isClosed, 'the connection stayed open');
    assert.equal(echoed, before);
  });

test('what is well formed is answered, and so is what follows it', async () => {
  for (const request of [
    `${HEAD}Content-Length: 15\r\n\r\n${BODY}`,
    `${HEAD}Transfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
  ]) {
    const { answer } = await raw(request + SMUGGLED);
    assert.equal(answer.match(/HTTP\/1\.1 200 /g)?.length, 2, answer);
  }
});

test('sockets that only sit there are bounded, and make room again', async () => {
  const bounded = await createHttp({ ...options, maxConnections: 20 });
  const at = await bounded.listen({ host: '127.0.0.1', port: 0 });
  const sockets: Socket[] = [];
  for (let i = 0; i < 60; i++) {
    const socket = connect(at.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    sockets.push(socket);
  }
  const untilMs = performance.now() + 5_000;
  const closed = (): number => sockets.filter((socket) => socket.closed).length;
  while (closed() < 40 && performance.now() < untilMs) await delay(20);
  assert.equal(closed(), 40);
  for (const socket of sockets) socket.destroy();
  await delay(200);
  assert.equal((await fetch(`http://127.0.0.1:${at.port}/api/v1/health`)).status, 200);
  await bounded.stop(0);
});

test('while the store of the limits is down a limited route answers 503 and does nothing', async () => {
  const nowhere = { host: '/nowhere', port: 1 };
  const down = new Database({ app: nowhere, owner: nowhere });
  const failing = async (): Promise<never> => {
    await down.ping();
    throw new Error('Expected a database that is down.');
  };
  const limits = { ...house.access.limits, countSource: failing, countRequest: failing, countPerson: failing };
  const http = await createHttp({ ...options, access: { ...house.access, limits } });
  const before = echoed;
  const response = await http.fetch(
    new Request('http://localhost:3000/api/v1/echo', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: BODY,
    }),
  );
  assert.equal(response.status, 503);
  assert.equal(((await response.json()) as { code: string }).code, 'UNAVAILABLE');
  assert.equal(echoed, before);
  await down.close();
});
