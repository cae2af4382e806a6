// Every write of the description, tried by somebody who is known and may not: refused, and a line of the audit log says so.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import { exampleOf, pathWith, routesOf, type RouteFacts } from '../../../cli/src/attack/routes.ts';
import { hangUp, send, type Answer } from '../../../cli/src/attack/shot.ts';
import { openPopulation } from '../test/population.ts';
import { startInstance } from '../test/instance.ts';

const instance = await startInstance({ env: { LUMATRACE_REQUESTS_PER_HOUR: '1000000' } });
const population = await openPopulation(instance.dataDir);
after(async () => {
  hangUp();
  await population.close();
  await instance.stop();
});
const { url, firstRun } = instance;
const own = { authorization: `Bearer ${firstRun.apiKey}`, 'content-type': 'application/json' };
const described = await send(url, { method: 'GET', path: '/openapi.json' });
const writes = routesOf(JSON.parse(described.text)).filter(
  ({ method, isPublic, scopes, isForPersons }) => method !== 'GET' && !isPublic && (scopes.length > 0 || isForPersons),
);

async function keyWithout(scopes: readonly string[]): Promise<string> {
  // one harmless scope that the route does not ask for
  const scope = ['trust:read', 'traces:read', 'photos:verify'].find((candidate) => !scopes.includes(candidate));
  const body = JSON.stringify({ name: 'narrow', scopes: [scope] });
  const made = await send(url, { method: 'POST', path: '/api/keys', headers: own, body });
  return (JSON.parse(made.text) as { apiKey: string }).apiKey;
}

async function tryWrite(route: RouteFacts, requestId: string): Promise<Answer> {
  return send(url, {
    method: route.method,
    path: pathWith(route, randomUUID()),
    headers: {
      authorization: `Bearer ${await keyWithout(route.scopes)}`,
      'content-type': route.mediaTypes[0] ?? 'application/json',
      'x-request-id': requestId,
    },
    body: JSON.stringify(exampleOf(route.body ?? {})),
  });
}

test('every write of the description that is denied has its line', async (context) => {
  assert.ok(writes.length >= 15, String(writes.length));
  const asked = new Map<string, string>();
  for (const route of writes) {
    const requestId = randomUUID();
    asked.set(requestId, `${route.method} ${route.path}`);
    const { status } = await tryWrite(route, requestId);
    assert.equal(status, 403, `${route.method} ${route.path}`);
  }
  const audited = await population.audited(firstRun.tenant.id, [...asked.keys()]);
  const missing = [...asked].filter(([requestId]) => !audited.has(requestId)).map(([, name]) => name);
  assert.deepEqual(missing, []);
  context.diagnostic(`${writes.length} writes`);
});

test('a write that is served has no line of a denial under its id', async () => {
  const requestId = randomUUID();
  const body = JSON.stringify({ name: 'x', scopes: ['trust:read'] });
  await send(url, { method: 'POST', path: '/api/keys', headers: { ...own, 'x-request-id': requestId }, body });
  const log = await send(url, { method: 'GET', path: `/api/v1/audit?requestId=${requestId}`, headers: own });
  const { data } = JSON.parse(log.text) as { data: Array<{ action: string; outcome: string }> };
  assert.deepEqual(
    data.map(({ action, outcome }) => `${action} ${outcome}`),
    ['key.create done'],
  );
});

const asSent = (bytes: Buffer): Buffer => bytes;

test('an export over gRPC that is denied has its line too', async () => {
  const requestId = randomUUID();
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${await keyWithout(['traces:write'])}`);
  metadata.set('x-request-id', requestId);
  const client = new Client(`127.0.0.1:${instance.ports.grpc}`, credentials.createInsecure());
  const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
  const code = await new Promise((resolve) =>
    client.makeUnaryRequest(path, asSent, asSent, Buffer.alloc(0), metadata, (error) => resolve(error?.code)),
  );
  client.close();
  assert.equal(code, status.PERMISSION_DENIED);
  assert.ok((await population.audited(firstRun.tenant.id, [requestId])).has(requestId));
});
