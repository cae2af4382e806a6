// How long every question takes at 1 M and at 10 M spans, through HTTP, for tenants that hold 40 %, 5 % and 0.1 % of them,
// and how long a trace of 10,000 spans takes from the click to its painted rows.
// `--data DIR` keeps the filled instances in DIR/SIZE and takes them from there the next time; `--sizes 1` or `1,10`
// (millions; fractions are fine). Thirty days before the filling are asked about, whatever the time is now.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { existingCluster, runningSocketDir, SUPERUSER } from '../packages/server/src/storage/embedded/cluster.ts';
import { DATABASE_NAME } from '../packages/server/src/storage/embedded/provision.ts';
import { startInstance, type Instance } from '../packages/server/src/test/instance.ts';
import { fill, LONG_TRACE_SPANS, type Filled, type FilledTenant } from './fill.ts';
import { paintTimes } from './paint.ts';
import { progress, publish, quantile, round } from './report.ts';

const ROUNDS = Number(process.env['BENCH_EXPLORE_ROUNDS'] ?? 25);
const WARM_UP_ROUNDS = 3;
/** Smaller medians say more about the machine than about the question. */
const FLOOR_MS = 5;
const GOAL_P95_MS = 100;
const HOUR_MS = 3_600_000;
const RANGES = { '1h': HOUR_MS, '7d': 168 * HOUR_MS, '30d': 720 * HOUR_MS };
const MILLION = 1_000_000;

interface Timing {
  size: string;
  tenant: string;
  page: string;
  p50Ms: number;
  p95Ms: number;
}

/** A question with the address of each of its repetitions. */
interface Question {
  page: string;
  address(round: number): string;
}

const { values } = parseArgs({
  options: { data: { type: 'string' }, sizes: { type: 'string', default: '1,10' }, json: { type: 'boolean' } },
});
const sizes = values.sizes.split(',').map(Number);
// below a hundred thousand the tenant of 0.1 % would have no request of its own
if (sizes.some((size) => !(size >= 0.1))) throw new Error(`Expected 0.1 million or more but received ${values.sizes}`);
const folder = values.data ?? (await mkdtemp(join(tmpdir(), 'lumatrace-explore-')));

const timings: Timing[] = [];
const loads: Array<{ size: string; spans: number; loadSeconds: number; databaseBytes: number }> = [];
let onScreen: Awaited<ReturnType<typeof paintTimes>> | undefined;
try {
  for (const size of sizes) await measureSize(size);
  report();
} finally {
  if (values.data === undefined) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

async function measureSize(millions: number): Promise<void> {
  const size = `${millions} M`;
  const dataDir = join(folder, `${millions}m`);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const instance = await startInstance({
    dataDir,
    env: { LUMATRACE_LOG_LEVEL: 'warn', LUMATRACE_REQUESTS_PER_HOUR: '100000000', LUMATRACE_RETENTION_DAYS: '90' },
  });
  try {
    progress(`${size}: filling ${dataDir}`);
    const startedMs = performance.now();
    const filled = await fill(dataDir, Math.round(millions * MILLION), progress);
    const databaseBytes = await settle(instance);
    const loadSeconds = round((performance.now() - startedMs) / 1_000, 0);
    loads.push({ size, spans: filled.tenants.reduce((sum, { sent }) => sum + sent, 0), loadSeconds, databaseBytes });
    progress(`${size}: filled and settled in ${loadSeconds} s, ${Math.round(databaseBytes / 2 ** 20)} MiB`);
    for (const tenant of filled.tenants.slice(0, 3)) {
      for (const question of await questionsOf(instance, filled, tenant)) {
        const timing = await ask(instance, tenant, question);
        timings.push({ size, tenant: tenant.name, page: question.page, ...timing });
      }
      const own = timings.filter((timing) => timing.size === size && timing.tenant === tenant.name);
      const slowest = own.toSorted((a, b) => b.p95Ms - a.p95Ms).slice(0, 5);
      progress(
        `${size}, tenant of ${tenant.name}: slowest ${slowest.map((t) => `${t.page} ${t.p95Ms}`).join(', ')} ms`,
      );
    }
    const longTraceId = filled.tenants[0]?.longTraceId ?? undefined;
    if (longTraceId !== undefined) {
      onScreen = await paintTimes(instance, longTraceId);
      progress(`${size}: trace of ${LONG_TRACE_SPANS} spans on screen in ${onScreen?.p50Ms} ms`);
    }
  } finally {
    await instance.stop();
  }
}

/** What autovacuum does within minutes of such a load; done here so that the clock does not decide. Size in bytes. */
async function settle({ dataDir }: Instance): Promise<number> {
  const cluster = await existingCluster(dataDir);
  const socketDir = cluster === undefined ? undefined : await runningSocketDir(cluster);
  if (socketDir === undefined) throw new Error('The embedded PostgreSQL does not run.');
  const client = new pg.Client({ host: socketDir, port: 5432, user: SUPERUSER, database: DATABASE_NAME });
  await client.connect();
  try {
    await client.query('vacuum (analyze) traces, rollups');
    await client.query('analyze spans');
    await client.query('checkpoint');
    const { rows } = await client.query<{ bytes: string }>('select pg_database_size(current_database()) as bytes');
    return Number(rows[0]?.bytes);
  } finally {
    await client.end();
  }
}

interface Page {
  data: Array<{ trace_id: string; cost_usd: string | null; latency_ms: number; user_id: string; session_id: string }>;
  pagination: { nextCursor: string | null };
}

/** Another one each round, far apart. */
function someOf<T>(list: readonly T[], round: number): T {
  return list[(round * 37) % list.length] as T;
}

async function questionsOf(instance: Instance, filled: Filled, tenant: FilledTenant): Promise<Question[]> {
  const at = (agoMs: number): string => new Date(filled.untilMs - agoMs).toISOString();
  const during = (lengthMs: number): string => `startDate=${at(lengthMs)}&endDate=${at(0)}`;
  const month = during(RANGES['30d']);
  const list = (page: string, filter: string): Question => ({
    page: `list ${page}`,
    address: () => `/api/traces?${month}&${filter}`,
  });
  const sample = (await get(instance, tenant, `/api/traces?${month}&limit=500`)) as Page;
  const costs = sample.data.map(({ cost_usd }) => Number(cost_usd ?? 0));
  const latencies = sample.data.map(({ latency_ms }) => latency_ms);
  const users = sample.data.map(({ user_id }) => user_id);
  const sessions = sample.data.map(({ session_id }) => session_id);
  const cursors = await deepCursors(instance, tenant, month);
  const charts = Object.entries(RANGES).flatMap(([name, lengthMs]): Question[] => [
    ...['model', 'service', 'environment', 'endpoint', 'user', 'date'].map((group) => ({
      page: `cost ${name} by ${group}`,
      address: () => `/api/analytics/cost?${during(lengthMs)}&groupBy=${group}`,
    })),
    ...['service', 'model', 'endpoint'].map((group) => ({
      page: `latency ${name} by ${group}`,
      address: () => `/api/analytics/latency?${during(lengthMs)}&groupBy=${group}`,
    })),
    ...['cost by model', 'traces by service', 'errors by none', 'latency by none', 'latency by model'].map(
      (series) => ({
        page: `series ${name} ${series}`,
        address: () =>
          `/api/analytics/series?${during(lengthMs)}&metric=${series.split(' ')[0]}&groupBy=${series.split(' ')[2]}`,
      }),
    ),
  ]);
  return [
    list('newest', 'limit=50'),
    list('of a service', 'service=search-rag'),
    list('of a model', 'model=gpt-4o-mini'),
    list('failed', 'status=error'),
    list('with tags', 'tags=mobile,apac'),
    { page: 'list of a user', address: (i) => `/api/traces?${month}&user=${someOf(users, i)}` },
    { page: 'list of a session', address: (i) => `/api/traces?${month}&session=${someOf(sessions, i)}` },
    list('dear', `minCost=${quantile(costs, 0.99).toFixed(6)}`),
    list('slow', `minLatency=${quantile(latencies, 0.99).toFixed(3)}`),
    list('service, model and status', 'service=support-agent&model=gpt-4o&status=error'),
    list('text', 'q=contract-review'),
    list('text of a user', `q=${users[0]}`),
    list('text that is nowhere', 'q=no-such-name'),
    { page: 'list by the start of an id', address: (i) => `/api/traces?q=${someOf(tenant.traceIds, i).slice(0, 12)}` },
    ...(cursors.length === 0
      ? []
      : [{ page: 'list, deep page', address: (i: number) => `/api/traces?${month}&cursor=${someOf(cursors, i)}` }]),
    { page: 'trace by id', address: (i) => `/api/traces/${someOf(tenant.traceIds, i)}` },
    ...(tenant.longTraceId === null
      ? []
      : [
          {
            page: `outline of the trace of ${LONG_TRACE_SPANS} spans`,
            address: () => `/api/traces/${tenant.longTraceId}/outline`,
          },
        ]),
    { page: 'facets', address: () => `/api/facets?${month}` },
    ...charts,
  ];
}

/** Cursors into the middle of the month: a list is opened at other days and paged once. */
async function deepCursors(instance: Instance, tenant: FilledTenant, month: string): Promise<string[]> {
  const cursors: string[] = [];
  let address = `/api/traces?${month}&limit=500`;
  for (let page = 0; page < 40; page++) {
    const { pagination } = (await get(instance, tenant, address)) as Page;
    if (pagination.nextCursor === null) break;
    cursors.push(pagination.nextCursor);
    address = `/api/traces?${month}&limit=500&cursor=${pagination.nextCursor}`;
  }
  return cursors.slice(-10);
}

async function get({ url }: Instance, { apiKey }: FilledTenant, address: string): Promise<unknown> {
  const answer = await fetch(`${url}${address}`, { headers: { authorization: `Bearer ${apiKey}` } });
  const body: unknown = await answer.json();
  if (answer.status !== 200) throw new Error(`${address} was answered with ${answer.status}: ${JSON.stringify(body)}`);
  return body;
}

async function ask(
  instance: Instance,
  tenant: FilledTenant,
  question: Question,
): Promise<{ p50Ms: number; p95Ms: number }> {
  const takenMs: number[] = [];
  for (let i = 0; i < WARM_UP_ROUNDS + ROUNDS; i++) {
    const startedMs = performance.now();
    await get(instance, tenant, question.address(i));
    if (i >= WARM_UP_ROUNDS) takenMs.push(performance.now() - startedMs);
  }
  return { p50Ms: round(quantile(takenMs, 0.5)), p95Ms: round(quantile(takenMs, 0.95)) };
}

function growths(): Array<{ tenant: string; page: string; growth: number }> {
  const [small, large] = [`${sizes[0]} M`, `${sizes.at(-1)} M`];
  if (small === large) return [];
  return timings
    .filter(({ size }) => size === small)
    .map(({ tenant, page, p50Ms }) => {
      const grown = timings.find((other) => other.size === large && other.tenant === tenant && other.page === page);
      const growth = Math.max(grown?.p50Ms ?? Number.POSITIVE_INFINITY, FLOOR_MS) / Math.max(p50Ms, FLOOR_MS);
      return { tenant, page, growth: round(growth, 2) };
    })
    .toSorted((a, b) => b.growth - a.growth);
}

function report(): void {
  const large = timings.filter(({ size }) => size === `${sizes.at(-1)} M`);
  const slowest = large.toSorted((a, b) => b.p95Ms - a.p95Ms);
  const grown = growths();
  publish(
    'explore',
    {
      sizes: loads,
      pages: large.length,
      worstP95Ms: slowest[0]?.p95Ms ?? null,
      pagesOverGoal: slowest.filter(({ p95Ms }) => p95Ms >= GOAL_P95_MS).length,
      slowest: slowest.slice(0, 8),
      growthMax: grown[0]?.growth ?? null,
      growthWorst: grown.slice(0, 8),
      trace10kOnScreenMs: onScreen?.p50Ms ?? null,
      trace10kOnScreenP95Ms: onScreen?.p95Ms ?? null,
      trace10kWholeAnswerMs: onScreen?.wholeAnswerMs ?? null,
      rounds: ROUNDS,
      timings,
    },
    [
      'Goals: every page below 100 ms (p95) at the largest size, growthMax at most 1.5 (medians, both at least 5 ms), the',
      'trace of 10,000 spans on screen in 500 ms. Loaded through ingest itself, without HTTP and the decoder; a few hundred',
      'requests of distinct content are sent again and again with new ids, times, users and sessions over 30 days.',
    ],
  );
}
