import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { refuseSeveralHosts } from './origin.ts';
import { bodyOf, queryOf } from './request.ts';
import type { Route } from './route.ts';

const route = { body: z.unknown() } as unknown as Route;

test('a body that does not come is late and never taken for a complete one, however the timer falls', async () => {
  const waits = Array.from({ length: 200 }, (_, index) => {
    const body = new ReadableStream<Uint8Array>({ start: (stream) => stream.enqueue(Buffer.from('{}')) });
    const headers = { 'content-type': 'application/json' };
    const request = new Request('http://localhost/', { method: 'POST', body, headers, duplex: 'half' });
    return bodyOf(route, request, 5 + (index % 40));
  });
  for (const outcome of await Promise.allSettled(waits)) {
    assert.equal(outcome.status, 'rejected');
    assert.equal((outcome.reason as { status: number }).status, 408);
  }
});

test('a query that is too long is refused, also by a route that takes none', () => {
  const plain = {} as unknown as Route;
  const long = new Request(`http://localhost/?q=${'x'.repeat(9_000)}`);
  assert.throws(() => queryOf(plain, long), { code: 'VALIDATION_FAILED' });
  assert.deepEqual(queryOf(plain, new Request('http://localhost/?q=x')), {});
});

function named(...hosts: string[]): { rawHeaders: string[] } {
  return { rawHeaders: hosts.flatMap((host) => ['Host', host, 'Accept', 'host']) };
}

test('two Host lines are refused, whatever they say, and the connection ends', () => {
  refuseSeveralHosts(named('localhost'));
  for (const incoming of [named('localhost', 'localhost'), named('a', 'b', 'c')]) {
    assert.throws(() => refuseSeveralHosts(incoming), { code: 'VALIDATION_FAILED', headers: { Connection: 'close' } });
  }
});
