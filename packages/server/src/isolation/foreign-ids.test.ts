// Every described route that takes an id, asked with another tenant's: the answer is that of an id that never was, in its
// body and, within the noise, in its time. Generated from the description that a started server gives of itself.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { randomBytes, randomUUID } from 'node:crypto';
import { furnish } from '../../../cli/src/attack/parties.ts';
import { exampleOf, pathWith, routesOf, type RouteFacts } from '../../../cli/src/attack/routes.ts';
import { hangUp, send, type Answer } from '../../../cli/src/attack/shot.ts';
import { openPopulation } from '../test/population.ts';
import { startInstance } from '../test/instance.ts';

const PAIRS = 150;
/** Pairs are interleaved in random order and the slowest tenth of each side is left out: those waited for somebody else. */
const KEPT = 0.9;
/** Of Welch's t; the usual limit of leakage tests (dudect, Reparaz, Balasch and Verbauwhede, 2017). */
const MAX_T = 4.5;

const instance = await startInstance({
  env: { LUMATRACE_REQUESTS_PER_HOUR: '1000000', LUMATRACE_TRACES_PER_DAY: '1000000' },
});
const population = await openPopulation(instance.dataDir);
after(async () => {
  hangUp();
  await population.close();
  await instance.stop();
});
const at = { http: instance.url, otlp: instance.otlpUrl };
const own = await furnish(at, await population.settle('Own', { requestsPerHour: 1_000_000 }));
const foreign = await furnish(at, await population.settle('Foreign'));
const routes = routesOf(JSON.parse((await send(at.http, { method: 'GET', path: '/openapi.json' })).text)).filter(
  ({ pathParameters, isPublic, isForPersons }) => pathParameters.length > 0 && !isPublic && !isForPersons,
);

const ID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b|\b[0-9a-f]{16}\b/g;
const unlike = (id: string): string => (id.includes('-') ? randomUUID() : randomBytes(id.length / 2).toString('hex'));

function ask(route: RouteFacts, idOf: (name: string) => string): Promise<Answer> {
  const hasBody = ['POST', 'PUT', 'PATCH'].includes(route.method);
  return send(at.http, {
    method: route.method,
    path: pathWith(route, idOf),
    headers: { authorization: `Bearer ${own.apiKey}`, 'content-type': 'application/json', 'x-request-id': 'same' },
    ...(hasBody ? { body: JSON.stringify(exampleOf(route.body ?? {})) } : {}),
  });
}

const said = ({ status, text }: Answer): string => `${status} ${text.replaceAll(ID, 'ID')}`;

test('there are routes and ids to ask about', () => {
  assert.ok(routes.length >= 8, String(routes.length));
  for (const name of ['traceId', 'photoId', 'keyId']) assert.ok(foreign.ids[name], name);
});

test('every foreign id on every route is answered as one that never was', async (context) => {
  let tried = 0;
  for (const route of routes) {
    for (const id of Object.values(foreign.ids)) {
      const [there, nowhere] = [await ask(route, () => id), await ask(route, () => unlike(id))];
      assert.ok(there.status >= 400 && there.status < 500, `${route.method} ${route.path} ${there.status}`);
      assert.equal(said(there), said(nowhere), `${route.method} ${route.path}`);
      tried++;
    }
  }
  context.diagnostic(`${tried} ids on ${routes.length} routes`);
  assert.ok(tried >= routes.length * 3);
});

async function timeMs(route: RouteFacts, id: string): Promise<number> {
  const startedMs = performance.now();
  // the first parameter is the one in question; the others exist, of the other tenant
  await ask(route, (name) => (name === route.pathParameters[0] ? id : (foreign.ids[name] ?? id)));
  return performance.now() - startedMs;
}

/** Welch's t of the times of two ids: `left` against `right`. */
async function apart(route: RouteFacts, left: () => string, right: () => string): Promise<number> {
  const times: [number[], number[]] = [[], []];
  for (let pair = 0; pair < PAIRS; pair++) {
    const order = Math.random() < 0.5 ? ([0, 1] as const) : ([1, 0] as const);
    for (const side of order) times[side].push(await timeMs(route, side === 0 ? left() : right()));
  }
  const [a, b] = times.map((side) => momentsOf(side.sort((x, y) => x - y).slice(0, PAIRS * KEPT)));
  assert.ok(a && b);
  return (a.mean - b.mean) / Math.sqrt(a.variance / a.n + b.variance / b.n);
}

function momentsOf(values: readonly number[]): { n: number; mean: number; variance: number } {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  return { n, mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1) };
}

for (const route of routes.filter(({ method }) => method === 'GET')) {
  const [name = ''] = route.pathParameters;
  const id = foreign.ids[name];
  if (id === undefined) continue;
  test(`${route.path} takes as long for a foreign id as for one that never was`, async (context) => {
    let t = await apart(
      route,
      () => id,
      () => unlike(id),
    );
    context.diagnostic(`t = ${t.toFixed(2)}`);
    // a second look when others were busy: what is truly apart is apart twice
    if (Math.abs(t) >= MAX_T)
      t = await apart(
        route,
        () => id,
        () => unlike(id),
      );
    assert.ok(Math.abs(t) < MAX_T, `t = ${t.toFixed(2)}`);
  });
}

test('the same clock tells an own id from one that never was', async () => {
  const route = routes.find(({ method, path }) => method === 'GET' && path === '/api/traces/{traceId}');
  const id = own.ids['traceId'];
  assert.ok(route && id);
  const t = await apart(
    route,
    () => id,
    () => unlike(id),
  );
  assert.ok(Math.abs(t) >= MAX_T, `t = ${t.toFixed(2)}`);
});
