// The program's database, wherever it is: an operator's DATABASE_URL, or the embedded server under the data folder.
import type pg from 'pg';
import { Database, APP_ROLE, sqlState } from './database.ts';
import { runningSocketDir, startCluster, type Cluster } from './embedded/cluster.ts';
import { DATABASE_NAME, OWNER_ROLE, provision } from './embedded/provision.ts';
import { watchStuck } from './embedded/stuck.ts';

export interface StorageOptions {
  dataDir: string;
  databaseUrl?: string | undefined;
  /** Past a pooler: migrations, jobs and notifications need a session. */
  databaseDirectUrl?: string | undefined;
  maxConnections?: number;
  /** Lines of the embedded server and about it. */
  log?: (line: string) => void;
  /** The embedded server died again and again. */
  onLost?: (error: Error) => void;
}

export interface Storage {
  database: Database;
  /** The owner's login also serves requests, so it takes the app role for them. */
  takesRole: boolean;
  /** Absent with DATABASE_URL. */
  cluster?: Pick<Cluster, 'mode' | 'folder' | 'pid'>;
  /** Closes the pools, then stops the embedded server. */
  close(): Promise<void>;
}

/** Starts what has to be started and opens the pools. The caller holds the lock of the data folder. */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  if (options.databaseUrl !== undefined) return openExternal(options.databaseUrl, options);
  const { dataDir, log, onLost } = options;
  const cluster = await startCluster({ dataDir, ...(log && { log }), ...(onLost && { onLost }) });
  try {
    await provision(cluster);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  const database = new Database({
    app: cluster.connection(APP_ROLE, DATABASE_NAME),
    owner: cluster.connection(OWNER_ROLE, DATABASE_NAME),
    maxConnections: options.maxConnections ?? 10,
    keepsStatements: true,
  });
  const { folder, pid } = cluster;
  const stopWatching = watchStuck({ folder, pid, refuses: () => refusesAll(database), log: log ?? (() => {}) });
  return {
    database,
    takesRole: false,
    cluster,
    async close() {
      stopWatching();
      await database.close();
      await cluster.stop();
    },
  };
}

/** cannot_connect_now: the server lives and takes nobody in. */
const CANNOT_CONNECT_NOW = '57P03';

async function refusesAll(database: Database): Promise<boolean> {
  const refusal = await database.ping().catch((error: unknown) => error);
  return refusal instanceof Error && sqlState(refusal.cause ?? refusal) === CANNOT_CONNECT_NOW;
}

/** The same database as somebody else's `up` on this data folder, for a second process. Undefined when none runs. */
export async function joinStorage(folder: string): Promise<Storage | undefined> {
  const socketDir = await runningSocketDir(folder);
  if (socketDir === undefined) return undefined;
  const at = (user: string): pg.PoolConfig => ({
    host: socketDir,
    port: 5432,
    user,
    database: DATABASE_NAME,
    ssl: false,
    options: '',
  });
  const database = new Database({ app: at(APP_ROLE), owner: at(OWNER_ROLE), maxConnections: 2 });
  return { database, takesRole: false, close: () => database.close() };
}

function openExternal(url: string, options: StorageOptions): Storage {
  const database = new Database({
    app: { connectionString: url },
    owner: { connectionString: options.databaseDirectUrl ?? url },
    maxConnections: options.maxConnections ?? 10,
  });
  return { database, takesRole: true, close: () => database.close() };
}
