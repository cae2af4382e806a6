// The description is valid OpenAPI 3.1, says what the routes do, and the page that shows it needs nothing from outside.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { openHouse } from '../test/house.ts';
import { docsRoutes } from './docs.ts';

const house = await openHouse({ routes: () => docsRoutes() });
after(() => house.close());
const { ask, routes } = house;

interface Operation {
  operationId: string;
  security: unknown[];
  parameters?: Array<{ name: string; in: string; required: boolean }>;
  requestBody?: { content: Record<string, { schema: { required: string[]; properties: object } }> };
  responses: Record<string, unknown>;
}
const description = (await (await ask('GET', '/openapi.json')).json()) as {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
};

test('the description is valid OpenAPI 3.1', async () => {
  assert.equal(description.openapi, '3.1.0');
  const result = await new Validator().validate(structuredClone(description));
  assert.deepEqual(result.errors ?? [], []);
  assert.equal(result.valid, true);
});

test('every route is described once, with what it needs', () => {
  const described = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(described.sort(), routes.map(({ method, path }) => `${method} ${path}`).sort());
  const ids = Object.values(description.paths).flatMap((methods) =>
    Object.values(methods).map(({ operationId }) => operationId),
  );
  assert.equal(new Set(ids).size, ids.length);
  for (const { method, path, policy } of routes) {
    const operation = description.paths[path]?.[method.toLowerCase()];
    assert.equal(operation?.security.length === 0, policy.kind === 'public', path);
    assert.equal('401' in (operation?.responses ?? {}) || policy.kind === 'public', true, path);
  }
});

test('bodies and parameters are those that are checked', () => {
  const create = description.paths['/api/keys']?.['post'];
  const schema = create?.requestBody?.content['application/json']?.schema;
  assert.deepEqual(schema?.required, ['name', 'scopes']);
  assert.deepEqual(Object.keys(schema?.properties ?? {}), ['name', 'scopes', 'environment', 'expiresAt']);
  const revoke = description.paths['/api/keys/{keyId}']?.['delete'];
  assert.deepEqual(
    revoke?.parameters?.map(({ name, in: where, required }) => ({ name, where, required })),
    [{ name: 'keyId', where: 'path', required: true }],
  );
});

test('the page and its files come from this server, without inline scripts', async () => {
  const page = await (await ask('GET', '/docs')).text();
  assert.doesNotMatch(page, /<script>|https?:|onload=/);
  const files = [...page.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path ?? '');
  assert.ok(files.length >= 4);
  for (const path of files) {
    const response = await ask('GET', path);
    assert.equal(response.status, 200, path);
    assert.ok((await response.arrayBuffer()).byteLength > 50, path);
  }
});
