// Makes ready what the families attack: an instance of our own with two tenants, or another of one's own on loopback.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openPopulation } from '../../../server/src/test/population.ts';
import { startInstance, type FirstRun, type Instance } from '../../../server/src/test/instance.ts';
import type { Corpora } from './corpora.ts';
import { furnish } from './parties.ts';
import { routesOf, type RouteFacts } from './routes.ts';
import type { Stage } from './scene.ts';
import { send } from './shot.ts';

export interface Prepared {
  stage: Stage;
  /** Present when the instance is ours: it can be watched and is stopped afterwards. */
  instance?: Instance;
  /** Families that cannot run here, and why. */
  cannot: { needsForeign?: string; needsGrpc?: string };
  close(): Promise<void>;
}

/** The attacker's own tenant sends more than any person would; the limits themselves stay on, and have a family. */
const PLENTY = '1000000000';
const LIMITED_REQUESTS_PER_HOUR = 20;

/** A throw-away instance with three tenants. */
export async function ownStage(corpora: Corpora, most: number): Promise<Prepared> {
  const instance = await startInstance({
    env: {
      LUMATRACE_REQUESTS_PER_HOUR: PLENTY,
      LUMATRACE_TRACES_PER_DAY: PLENTY,
      LUMATRACE_LOG_RECORDS_PER_DAY: PLENTY,
      LUMATRACE_METRIC_POINTS_PER_DAY: PLENTY,
      LUMATRACE_LOG_LEVEL: 'info',
    },
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
    return { stage, instance, cannot: {}, close };
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
    },
    close: () => Promise.resolve(),
  };
}

async function routesAt(url: string): Promise<RouteFacts[]> {
  const answer = await send(url, { method: 'GET', path: '/openapi.json' });
  return routesOf(JSON.parse(answer.text));
}
