// Makes ready what the families attack: an instance of our own with two tenants, or another of one's own on loopback.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openPopulation } from '../../../server/src/test/population.ts';
import { interleave, type InterleavedOptions } from '../../../server/src/test/interleaved.ts';
import { startPooledInstance } from '../../../server/src/test/pooled-instance.ts';
import { startInstance, type FirstRun, type Instance } from '../../../server/src/test/instance.ts';
import { verifyingMs } from '../../../server/src/test/verifying.ts';
import type { Corpora } from './corpora.ts';
import { furnish, type Party } from './parties.ts';
import { routesOf, type RouteFacts } from './routes.ts';
import type { Pooled, Stage } from './scene.ts';
import { send } from './shot.ts';

export interface Prepared {
  stage: Stage;
  /** Present when the instance is ours: it can be watched and is stopped afterwards. */
  instance?: Instance;
  /** Families that cannot run here, and why. */
  cannot: { needsForeign?: string; needsGrpc?: string; needsPooler?: string };
  /** Makes the instance behind the pooler ready, for the families that need it. @throws Error when PgBouncer is missing. */
  openPooled?: () => Promise<{ stage: Stage; close(): Promise<void> }>;
  close(): Promise<void>;
}

/** The attacker's own tenant sends more than any person would; the limits themselves stay on, and have a family. */
const PLENTY = '1000000000';
const QUOTAS = {
  LUMATRACE_REQUESTS_PER_HOUR: PLENTY,
  LUMATRACE_TRACES_PER_DAY: PLENTY,
  LUMATRACE_LOG_RECORDS_PER_DAY: PLENTY,
  LUMATRACE_METRIC_POINTS_PER_DAY: PLENTY,
  LUMATRACE_LOG_LEVEL: 'info',
};
const LIMITED_REQUESTS_PER_HOUR = 20;

/** A throw-away instance with three tenants. */
export async function ownStage(corpora: Corpora, most: number): Promise<Prepared> {
  const instance = await startInstance({
    env: QUOTAS,
  });
  try {
    const population = await openPopulation(instance.dataDir);
    const at = { http: instance.url, otlp: instance.otlpUrl };
    const own = await furnish(at, await population.settle('Attacker'));
    const foreign = await furnish(at, await population.settle('Victim'));
    const limited = await population.settle('Limited', { requestsPerHour: LIMITED_REQUESTS_PER_HOUR });
    const stage: Stage = {
      target: { http: instance.url, otlp: instance.otlpUrl, grpcPort: instance.ports.grpc },
      routes: await routesAt(instance.url),
      corpora,
      own,
      foreign,
      limited: { apiKey: limited.apiKey, requestsPerHour: LIMITED_REQUESTS_PER_HOUR },
      machine: instance.firstRun.serviceAccount,
      verifyingMs: (tokens, times) => verifyingMs({ dataDir: instance.dataDir, url: instance.url, tokens, times }),
      audited: (ids) => population.audited(own.tenantId, ids),
      log: () => instance.output(),
      secrets: [
        (await readFile(join(instance.dataDir, 'kek'), 'utf8')).trim(),
        instance.firstRun.apiKey,
        instance.firstRun.admin.password,
        instance.firstRun.serviceAccount.password,
        foreign.apiKey,
        limited.apiKey,
        ...foreign.people.map(({ password }) => password),
        ...Object.values(foreign.cookies).map((cookie) => cookie.slice(cookie.indexOf('=') + 1)),
      ],
      most,
    };
    const close = async (): Promise<void> => {
      await population.close();
      await instance.stop();
    };
    return { stage, instance, cannot: {}, openPooled: () => pooledStage(corpora, most), close };
  } catch (error) {
    await instance.stop();
    throw error;
  }
}

/** Another instance, by its address and the credentials of its first-run file. */
export async function givenStage(url: string, dataDir: string, corpora: Corpora, most: number): Promise<Prepared> {
  const firstRun = JSON.parse(await readFile(join(dataDir, 'first-run.json'), 'utf8')) as FirstRun;
  const own = await furnish(
    { http: url, otlp: firstRun.otlpUrl },
    { tenantId: firstRun.tenant.id, apiKey: firstRun.apiKey, people: [] },
  );
  const stage: Stage = {
    target: { http: url, otlp: firstRun.otlpUrl, grpcPort: 0 },
    routes: await routesAt(url),
    corpora,
    own,
    machine: firstRun.serviceAccount,
    secrets: [firstRun.admin.password, firstRun.serviceAccount.password],
    most,
  };
  return {
    stage,
    cannot: {
      needsForeign: 'it needs two tenants, which only an instance that the suite starts itself is given',
      needsGrpc: 'the port of gRPC is known of an instance that the suite starts itself only',
      needsPooler: 'the database of an instance that the suite starts itself only is taken away',
    },
    close: () => Promise.resolve(),
  };
}

const NEIGHBOURS = 12;
const POOLED_TENANTS = 50;
const POOLED_AT_ONCE = 40;

/** An instance behind PgBouncer, its database behind valves; thirteen tenants. */
async function pooledStage(corpora: Corpora, most: number): Promise<{ stage: Stage; close(): Promise<void> }> {
  const house = await startPooledInstance({ env: QUOTAS });
  const { instance, pooledDoor, directDoor } = house;
  try {
    const population = await openPopulation(instance.dataDir, directDoor);
    const at = { http: instance.url, otlp: instance.otlpUrl };
    const own = await furnish(at, await population.settle('Attacker'));
    const neighbours: Party[] = [];
    for (let i = 0; i < NEIGHBOURS; i++) {
      const { people: _, ...settled } = await population.settle(`Neighbour ${i}`);
      neighbours.push(await furnish(at, { ...settled, people: [] }));
    }
    const flows = { direct: house.direct, tenants: POOLED_TENANTS, atOnce: POOLED_AT_ONCE };
    const interleaveBy =
      (ways: Pick<InterleavedOptions, 'door' | 'raw'>): Pooled['interleave'] =>
      (transactions, below) =>
        interleave({ ...flows, ...ways, transactions, below });
    const pooled: Pooled = {
      turn: (state) => house.turn(state),
      interleave: interleaveBy({ door: pooledDoor, raw: house.pooled }),
      interleaveBySession: interleaveBy(house.leaky),
      takeCounters: (isAway) =>
        directDoor.inSystem(async (sql) => {
          const [from, to] = isAway ? ['rate_limits', 'rate_limits_away'] : ['rate_limits_away', 'rate_limits'];
          await sql.query(`alter table ${from} rename to ${to}`);
        }),
      neighbours,
      hasEnded: () => instance.process.exitCode !== null || instance.process.signalCode !== null,
    };
    const stage: Stage = {
      target: { ...at, grpcPort: instance.ports.grpc },
      routes: await routesAt(instance.url),
      corpora,
      own,
      machine: instance.firstRun.serviceAccount,
      log: () => instance.output(),
      secrets: [instance.firstRun.apiKey, instance.firstRun.admin.password, instance.firstRun.serviceAccount.password],
      most,
      pooled,
    };
    return { stage, close: () => house.stop() };
  } catch (error) {
    await house.stop();
    throw error;
  }
}

async function routesAt(url: string): Promise<RouteFacts[]> {
  const answer = await send(url, { method: 'GET', path: '/openapi.json' });
  return routesOf(JSON.parse(answer.text));
}
