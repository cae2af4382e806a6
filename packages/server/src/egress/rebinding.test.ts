// A name server that says "public" first and "this machine" afterwards, over real DNS on loopback.
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { createEgress, type EgressError } from './egress.ts';

let nameServer: Socket;
let victim: Server;
let resolver: Resolver;
let answers: string[] = [];
let queries = 0;
let reached = 0;

/** The question back with one A record that nobody may keep (TTL 0); RFC 1035, section 4.1. */
function answerTo(query: Buffer, address: string): Buffer {
  const head = Buffer.from(query.subarray(0, 12));
  head.writeUInt16BE(0x81_80, 2);
  head.writeUInt16BE(1, 6);
  head.fill(0, 8, 12);
  // one label after the other, then type and class
  let end = 12;
  while (query[end] !== 0) end += (query[end] ?? 0) + 1;
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]);
  return Buffer.concat([head, query.subarray(12, end + 5), record]);
}

before(async () => {
  nameServer = createSocket('udp4');
  nameServer.on('message', (query, { port, address }) => {
    queries++;
    nameServer.send(answerTo(query, answers.shift() ?? '127.0.0.1'), port, address);
  });
  await new Promise<void>((done) => nameServer.bind(0, '127.0.0.1', done));
  victim = createServer((_, response) => {
    reached++;
    response.end('inside');
  });
  await new Promise<void>((done) => victim.listen(0, '127.0.0.1', done));
  resolver = new Resolver({ timeout: 1_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${nameServer.address().port}`]);
});
after(() => {
  nameServer.close();
  victim.close();
});

async function resolve(name: string): Promise<{ address: string; family: number }[]> {
  return (await resolver.resolve4(name)).map((address) => ({ address, family: 4 }));
}

test('what the name says at the moment of connecting counts, and it is asked once', async () => {
  const url = `http://rebound.example:${(victim.address() as AddressInfo).port}/`;
  const ask = (allow: readonly string[]): Promise<string> =>
    createEgress({ allow, resolve })({ url, isPlainAllowed: true, timeoutMs: 400 }).then(
      ({ body }) => body.toString(),
      (error: EgressError) => error.code,
    );
  // the first connection goes to an address outside and comes to nothing, with or without a network
  answers = ['93.184.216.34', '127.0.0.1'];
  assert.notEqual(await ask([]), 'EGRESS_FORBIDDEN');
  assert.equal(queries, 1);
  assert.equal(await ask([]), 'EGRESS_FORBIDDEN');
  assert.equal(queries, 2);
  assert.equal(reached, 0);
  // the way was open all along: the guard alone closed it
  assert.equal(await ask([new URL(url).host]), 'inside');
  assert.equal(reached, 1);
});
