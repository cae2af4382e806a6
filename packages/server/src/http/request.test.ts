import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { bodyOf } from './request.ts';
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
