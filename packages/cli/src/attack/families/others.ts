// Attackers that others wrote, let loose through a proxy that counts: schemathesis, sqlmap, slowhttptest.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { countingProxy } from '../counting-proxy.ts';
import type { Family } from '../family.ts';
import { exampleOf, pathWith, type RouteFacts } from '../routes.ts';
import type { Scene } from '../scene.ts';
import { runTool, type ToolName } from '../tools.ts';

function programOf({ stage }: Scene, name: ToolName): string {
  const path = stage.tools?.paths[name];
  if (path === undefined) throw new TypeError(`Expected ${name} to be installed`);
  return path;
}

const SCHEMATHESIS_SECONDS = 240;
const REHEARSAL_SECONDS = 60;
const SCHEMATHESIS_EXAMPLES = 12;
/** Of its checks, those that say what an attacker got; the others compare answers with the description. */
const CHECKS = 'not_a_server_error,ignored_auth,use_after_free';

/** Paths of the other port, and the one by which it would revoke the key that it was given. */
const NOT_FOR_IT = '^/v1/|^/api/keys/';

interface SchemathesisReport {
  test_cases: { generated: number };
  failures: readonly { title?: string; operation?: string }[];
  errors: readonly { count: number }[];
}

export const schemathesis: Family = {
  name: 'schemathesis',
  about: 'requests that schemathesis makes from /openapi.json',
  needsTool: 'schemathesis',
  holes: [
    {
      name: 'who brings no credential is served',
      open: ({ headers, method }, { forward, scene }) =>
        headers['authorization'] === undefined && method === 'GET'
          ? forward({ headers: { ...headers, ...scene.ownKey } })
          : forward(),
    },
    {
      name: 'a page size that is no number breaks the server',
      open: ({ url }, { forward }) =>
        /[?&]limit=(?!\d+(?:&|$))/.test(url) ? { status: 500, headers: {}, body: 'NaN' } : forward(),
    },
  ],
  async run(scene) {
    const folder = await mkdtemp(join(tmpdir(), 'lumatrace-schemathesis-'));
    const proxy = await countingProxy(scene);
    try {
      const report = join(folder, 'report.json');
      const examples = Math.max(1, Math.min(SCHEMATHESIS_EXAMPLES, scene.stage.most));
      const seconds = scene.isPlanted ? REHEARSAL_SECONDS : Math.min(SCHEMATHESIS_SECONDS, 10 * scene.stage.most);
      const args = [
        'run', `${proxy.url}/openapi.json`, '-u', proxy.url,
        '-H', `Authorization: ${scene.ownKey['authorization']}`,
        '--checks', CHECKS, '--phases', 'coverage,fuzzing,stateful', '--max-examples', String(examples),
        '--max-time', String(seconds), '--seed', String(scene.random.below(1_000_000)), '--workers', '1', '--no-shrink',
        '--continue-on-failure', '--exclude-path-regex', NOT_FOR_IT, '--report', 'json', '--report-json-path', report,
        '--warnings', 'off', ...(scene.isPlanted ? ['--max-failures', '1'] : []),
      ]; // prettier-ignore
      const ran = await runTool(programOf(scene, 'schemathesis'), args, { limitMs: (seconds + 120) * 1_000 });
      const found = await readFile(report, 'utf8').catch(() => undefined);
      if (found === undefined)
        throw new Error(`Expected a report of schemathesis but received: ${ran.output.slice(-500)}`);
      const { test_cases: cases, failures, errors } = JSON.parse(found) as SchemathesisReport;
      scene.tally.more['cases'] = cases.generated;
      // what broke in the attacker itself
      scene.tally.more['ownErrors'] = errors.reduce((sum, { count }) => sum + count, 0);
      if (cases.generated === 0) throw new Error(`Expected schemathesis to try something: ${ran.output.slice(-500)}`);
      for (const failure of failures) scene.verdict(`schemathesis: ${failure.title}`, JSON.stringify(failure));
      if (failures.length === 0) scene.verdict(undefined, 'schemathesis');
    } finally {
      proxy.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const SQLMAP_AT_ONCE = 2;
const SQLMAP_LIMIT_MS = 120_000;
const IS_INJECTABLE = /sqlmap identified the following injection point|is vulnerable/;
const ID = '7d444840-9dc0-41d1-b245-5ffdce74fad2';

export const sqlmap: Family = {
  name: 'sqlmap',
  about: 'every parameter, path and JSON body, by sqlmap',
  needsTool: 'sqlmap',
  holes: [{ name: 'a value is put into the statement', serve: () => gluedServer() }],
  async run(scene) {
    const routes = scene.stage.routes.filter(({ path, isPublic }) => !path.startsWith('/v1/') && !isPublic);
    const targets = scene.some(routes.flatMap((route) => targetOf(route)));
    const proxy = await countingProxy(scene, scene.ownKey);
    try {
      await Promise.all(
        Array.from({ length: SQLMAP_AT_ONCE }, async () => {
          for (let next = targets.pop(); next !== undefined; next = targets.pop())
            await injected(scene, proxy.url, next);
        }),
      );
      scene.tally.more['requests'] = proxy.passed();
    } finally {
      proxy.close();
    }
  },
};

interface SqlTarget {
  method: string;
  path: string;
  body?: string;
}

/** Values that the route takes, in each place where one goes; nothing when it takes none. */
function targetOf(route: RouteFacts): SqlTarget[] {
  const query = route.queryParameters.map(({ name, schema }): [string, string] => [
    name,
    String(exampleOf(schema, name)),
  ]);
  const body = route.body === undefined ? undefined : JSON.stringify(exampleOf(route.body));
  if (query.length + route.pathParameters.length === 0 && (body === undefined || body === '{}')) return [];
  // an asterisk marks a place in the path
  const path = pathWith(route, () => `${ID}*`) + (query.length === 0 ? '' : `?${new URLSearchParams(query)}`);
  return [{ method: route.method, path, ...(body === undefined ? {} : { body }) }];
}

async function injected(scene: Scene, origin: string, { method, path, body }: SqlTarget): Promise<void> {
  const args = [
    '-u', origin + path, '--method', method, '--batch', '--level', '1', '--risk', '1', '--flush-session',
    '--disable-coloring', '--timeout', '30', '--retries', '1', '--ignore-code', '401', '--answers', 'follow=N',
    ...(body === undefined ? [] : ['--data', body, '-H', 'Content-Type: application/json']),
  ]; // prettier-ignore
  const ran = await runTool(programOf(scene, 'sqlmap'), args, { limitMs: SQLMAP_LIMIT_MS });
  const name = `sqlmap ${method} ${path}`;
  if (ran.isLate) scene.tally.more['late'] = (scene.tally.more['late'] ?? 0) + 1;
  const point = IS_INJECTABLE.test(ran.output) ? ran.output.slice(ran.output.search(IS_INJECTABLE)) : undefined;
  scene.verdict(point === undefined ? undefined : `sqlmap: ${point.slice(0, 100)}`, name);
}

/** Asks SQLite with the first value of the address glued into the statement. */
async function gluedServer(): Promise<{ port: number; close(): void }> {
  const database = new DatabaseSync(':memory:');
  database.exec(`create table rows (name text); insert into rows values ('a'), ('b'), ('c')`);
  const server = createServer((incoming, outgoing) => {
    const url = new URL(incoming.url ?? '/', 'http://localhost');
    const value = [...url.searchParams.values()][0] ?? decodeURIComponent(url.pathname.split('/').at(-1) ?? '');
    try {
      const row = database.prepare(`select count(*) as n from rows where name <> '${value}'`).get();
      outgoing.end(JSON.stringify(row));
    } catch (error) {
      outgoing.end(JSON.stringify({ error: String(error) }));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
      database.close();
    },
  };
}

const SLOW_CONNECTIONS = 150;
const SLOW_SECONDS = 12;
/** slow heads, slow bodies, slow reading */
const SLOW_WAYS: readonly (readonly string[])[] = [
  ['-H', '-i', '3', '-t', 'GET'],
  ['-B', '-i', '3', '-t', 'POST', '-s', '4096'],
  ['-X', '-w', '1', '-y', '16', '-n', '3', '-z', '8', '-t', 'GET'],
];

export const slowhttptest: Family = {
  name: 'slowhttptest',
  about: 'slow heads, slow bodies and slow reading by slowhttptest, which asks whether others are served',
  needsTool: 'slowhttptest',
  holes: [
    {
      name: 'few connections are taken and none is ended',
      async serve() {
        const server = createServer({ headersTimeout: 0, requestTimeout: 0 }, (_, outgoing) => outgoing.end('{}'));
        server.maxConnections = 40;
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        return {
          port: (server.address() as AddressInfo).port,
          close() {
            server.close();
            server.closeAllConnections();
          },
        };
      },
    },
  ],
  async run(scene) {
    for (const way of scene.some(SLOW_WAYS)) {
      const url = `${scene.target.http.replace('localhost', '127.0.0.1')}/health/live`;
      const args = [
        '-c', String(SLOW_CONNECTIONS), '-r', '75', '-l', String(SLOW_SECONDS), '-p', '3', ...way, '-u', url,
      ]; // prettier-ignore
      const startedMs = performance.now();
      const { output } = await runTool(programOf(scene, 'slowhttptest'), args, { limitMs: 60_000 });
      const said = [...output.matchAll(/service available:[^A-Z]*(YES|NO)/g)].map((match) => match[1]);
      if (said.length === 0) throw new Error(`Expected slowhttptest to say something: ${output.slice(-300)}`);
      scene.tally.count(way, performance.now() - startedMs);
      scene.tally.more['connections'] = (scene.tally.more['connections'] ?? 0) + SLOW_CONNECTIONS;
      const name = `slowhttptest ${way.join(' ')}`;
      scene.verdict(said.includes('NO') ? 'slowhttptest: others were not served' : undefined, name);
    }
  },
};
