// An instance whose database is somebody else's: PostgreSQL behind PgBouncer behind valves that can take it away.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { APP_ROLE, Database } from '../storage/database.ts';
import { startCluster, SUPERUSER } from '../storage/embedded/cluster.ts';
import { DATABASE_NAME, OWNER_ROLE, provision } from '../storage/embedded/provision.ts';
import { THROW_AWAY_SETTINGS } from '../storage/embedded/settings.ts';
import { startInstance, type Instance } from './instance.ts';
import { sessionDoor } from './leaky-door.ts';
import { startPooler, type Pooler } from './pooler.ts';
import { openValve, type Valve, type ValveState } from './valve.ts';

export interface PooledInstance {
  instance: Instance;
  pooler: Pooler;
  /** The program's door through the pooler, with more clients than the pooler has servers. */
  pooledDoor: Database;
  /** The fault that poolers bring out, for rehearsals: behind a pooler of its own, since it leaves tenants on connections. */
  leaky: { door: ReturnType<typeof sessionDoor>; raw: pg.PoolConfig };
  /** Past the pooler and the valves. */
  directDoor: Database;
  /** Through the pooler without a door, as the role that row level security binds. */
  pooled: pg.PoolConfig;
  /** The same past both. */
  direct: pg.PoolConfig;
  /** Takes the database away from the instance alone, or gives it back. */
  turn(state: ValveState): Promise<void>;
  stop(): Promise<void>;
}

export interface PooledInstanceOptions {
  env?: Record<string, string>;
  /** PgBouncer's connections to PostgreSQL. */
  serverConnections?: number;
  /** How late each piece is while the database is slow. */
  slowMs?: number;
}

const CLIENTS = 48;

/** @throws Error when PgBouncer is not installed. */
export async function startPooledInstance(options: PooledInstanceOptions = {}): Promise<PooledInstance> {
  const { env = {}, serverConnections = 8, slowMs = 2_000 } = options;
  const dataDir = await mkdtemp(join(tmpdir(), 'lumatrace-pooled-'));
  const closing: (() => Promise<unknown>)[] = [() => rm(dataDir, { recursive: true, force: true, maxRetries: 5 })];
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  try {
    const cluster = await startCluster({ dataDir, durable: false, settings: THROW_AWAY_SETTINGS });
    closing.push(() => cluster.stop());
    await provision(cluster);
    await asSuperuser(cluster.connection(SUPERUSER, DATABASE_NAME), `grant ${APP_ROLE} to ${OWNER_ROLE}`);
    const pooler = await startPooler({ socketDir: cluster.socketDir, serverConnections });
    closing.push(() => pooler.stop());
    const valves: Valve[] = [
      await openValve({ to: { host: '127.0.0.1', port: pooler.port }, slowMs }),
      await openValve({ to: { path: join(cluster.socketDir, '.s.PGSQL.5432') }, slowMs }),
    ];
    closing.push(() => Promise.all(valves.map((valve) => valve.close())));
    const [database, past] = valves.map(({ port }) => `postgresql://${OWNER_ROLE}@127.0.0.1:${port}/${DATABASE_NAME}`);
    const instance = await startInstance({
      env: { ...env, DATABASE_URL: database as string, DATABASE_DIRECT_URL: past as string },
    });
    closing.push(() => instance.stop());
    const owner = cluster.connection(OWNER_ROLE, DATABASE_NAME);
    const direct = cluster.connection(APP_ROLE, DATABASE_NAME);
    const through = pooler.connection(APP_ROLE, DATABASE_NAME);
    const pooledDoor = new Database({ app: through, owner, maxConnections: CLIENTS });
    const leakyPooler = await startPooler({ socketDir: cluster.socketDir, serverConnections });
    closing.push(() => leakyPooler.stop());
    const leakyThrough = leakyPooler.connection(APP_ROLE, DATABASE_NAME);
    const leakyPool = new pg.Pool({ ...leakyThrough, max: CLIENTS });
    leakyPool.on('error', () => {});
    closing.push(() => leakyPool.end());
    const directDoor = new Database({ app: direct, owner, maxConnections: 3 });
    closing.push(() => Promise.all([pooledDoor.close(), directDoor.close()]));
    const turn = async (state: ValveState): Promise<void> => {
      await Promise.all(valves.map((valve) => valve.turn(state)));
    };
    const leaky = { door: sessionDoor(leakyPool), raw: leakyThrough };
    return { instance, pooler, pooledDoor, leaky, directDoor, pooled: through, direct, turn, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function asSuperuser(config: pg.ClientConfig, statement: string): Promise<void> {
  const client = new pg.Client(config);
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
