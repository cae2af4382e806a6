// A name server that says "public" first and "this machine" afterwards, over real DNS on loopback.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { createEgress, type EgressError } from './egress.ts';
import { startNameServer, type NameServer } from './name-server.fixture.ts';

let names: NameServer;
let victim: Server;
let reached = 0;

before(async () => {
  names = await startNameServer();
  victim = createServer((_, response) => {
    reached++;
    response.end('inside');
  });
  await new Promise<void>((done) => victim.listen(0, '127.0.0.1', done));
});
after(() => {
  names?.close();
  victim?.close();
});

test('what the name says at the moment of connecting counts, and it is asked once', async () => {
  const url = `http://rebound.example:${(victim.address() as AddressInfo).port}/`;
  const ask = (allow: readonly string[]): Promise<string> =>
    createEgress({ allow, resolve: names.resolve })({ url, isPlainAllowed: true, timeoutMs: 400 }).then(
      ({ body }) => body.toString(),
      (error: EgressError) => error.code,
    );
  // the first connection goes to an address outside and comes to nothing, with or without a network
  names.next('93.184.216.34', '127.0.0.1');
  assert.notEqual(await ask([]), 'EGRESS_FORBIDDEN');
  assert.equal(names.queries(), 1);
  assert.equal(await ask([]), 'EGRESS_FORBIDDEN');
  assert.equal(names.queries(), 2);
  assert.equal(reached, 0);
  // the way was open all along: the guard alone closed it
  assert.equal(await ask([new URL(url).host]), 'inside');
  assert.equal(reached, 1);
});
