// A real PostgreSQL for tests: one cluster for everybody who tests at the moment, one throw-away database per test file.
// A keeper process holds the cluster and ends it, files included, when nobody has been connected for a while.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { Database } from '../storage/database.ts';
import { SUPERUSER } from '../storage/embedded/cluster.ts';
import { DATABASE_NAME, OWNER_ROLE } from '../storage/embedded/provision.ts';
import { keepAuditChain } from '../access/audit.ts';
import { peopleSealOf } from '../keys/people-seal.ts';
import { tenantKeyFromBytes } from '../keys/tenant-keys.ts';
import { APP_ROLE } from '../storage/database.ts';
import type { SecretReader } from '../keys/installation-keys.ts';
import { migrate, readMigrations, schemaDigest } from '../storage/migrate.ts';
import { keepSeals } from '../storage/seals.ts';

export interface TestDatabase {
  /** The program's own door, as the app role and the owner. */
  database: Database;
  /** Connection strings for tests that need a door of their own. */
  url: { owner: string; app: string; superuser: string };
  /** The same as pg configurations. */
  owner: pg.PoolConfig;
  app: pg.PoolConfig;
  superuser: pg.PoolConfig;
  name: string;
  socketDir: string;
  /** Closes the pools and drops the database. */
  close(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** False gives an empty database, for tests of the migrations themselves. */
  migrated?: boolean;
  maxConnections?: number;
}

const KEEPER = fileURLToPath(new URL('./keeper.ts', import.meta.url));
const START_LIMIT_MS = 60_000;
const DUPLICATE_DATABASE = '42P04';

/** The folder of the cluster: one per user and checkout, so that several checkouts can test at once. */
export function clusterFolder(): string {
  const mark = createHash('sha256')
    .update(`${process.getuid?.() ?? 0}|${KEEPER}`)
    .digest('hex')
    .slice(0, 12);
  return join(tmpdir(), `lumatrace-test-${mark}`);
}

/** A database of its own on the shared cluster, with every migration applied. Call `close` in `after`. */
export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const socketDir = await sharedCluster();
  const at = (user: string, database: string): pg.PoolConfig => ({
    host: socketDir,
    port: 5432,
    user,
    database,
    ssl: false,
    options: '',
  });
  const name = `test_${randomBytes(8).toString('hex')}`;
  const template = options.migrated === false ? undefined : await migratedTemplate(at);
  await withClient(at(SUPERUSER, 'postgres'), (client) => createDatabase(client, name, template));
  const configs = { owner: at(OWNER_ROLE, name), app: at(APP_ROLE, name), superuser: at(SUPERUSER, name) };
  const urlOf = (user: string): string =>
    `postgresql://${user}@localhost/${name}?host=${encodeURIComponent(socketDir)}`;
  const database = new Database({ ...configs, maxConnections: options.maxConnections ?? 10 });
  // rooms are tested without access too, and write lines all the same
  keepAuditChain(database, randomBytes(32));
  const people = peopleSealOf([{ version: 1, secret: randomBytes(32) }]);
  const secret = randomBytes(32);
  keepSeals(database, {
    people: async () => people,
    // rooms that have keys of their own tell those
    tenant: async (tenantId) => tenantKeyFromBytes(tenantId, 1, new Map([[1, secret]])),
  });
  return {
    database,
    ...configs,
    url: { owner: urlOf(OWNER_ROLE), app: urlOf(APP_ROLE), superuser: urlOf(SUPERUSER) },
    name,
    socketDir,
    async close() {
      await database.close();
      await withClient(at(SUPERUSER, 'postgres'), (client) =>
        client.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`),
      );
    },
  };
}

export interface OperatedDatabase {
  db: TestDatabase;
  /** For `DATABASE_URL`: as a plain user who owns the database and is a member of `lumatrace_app`, as the guide asks. */
  operatorUrl: string;
  close(): Promise<void>;
}

/** A database as an operator gives it to LumaTrace: empty, with a user of its own. */
export async function operatedDatabase(): Promise<OperatedDatabase> {
  const db = await testDatabase({ migrated: false });
  const operator = `operator_${db.name}`;
  const asAdmin = (text: string): Promise<unknown> =>
    withClient({ ...db.superuser, database: 'postgres' }, (client) => client.query(text));
  await asAdmin(`create role ${operator} login; grant lumatrace_app to ${operator}`);
  await asAdmin(`alter database ${db.name} owner to ${operator}`);
  return {
    db,
    operatorUrl: db.url.owner.replace('//lumatrace_owner@', `//${operator}@`),
    async close() {
      await db.close();
      await asAdmin(`drop role if exists ${operator}`);
    },
  };
}

/** Socket folder of the running cluster; starts a keeper when there is none. Keepers settle among themselves who stays. */
async function sharedCluster(): Promise<string> {
  const folder = clusterFolder();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const deadlineMs = performance.now() + START_LIMIT_MS;
  let lastSpawnMs = -Infinity;
  while (performance.now() < deadlineMs) {
    const socketDir = await readFile(join(folder, 'socket'), 'utf8').catch(() => undefined);
    if (socketDir !== undefined && (await answers(socketDir))) return socketDir;
    if (performance.now() - lastSpawnMs > 5_000) {
      lastSpawnMs = performance.now();
      spawn(process.execPath, [KEEPER, folder], { detached: true, stdio: 'ignore' }).unref();
    }
    await sleep(50);
  }
  throw new Error(`The test cluster in ${folder} did not start; see keeper.log there`);
}

async function answers(socketDir: string): Promise<boolean> {
  const config = { host: socketDir, port: 5432, user: OWNER_ROLE, database: DATABASE_NAME, ssl: false };
  return withClient(config, (client) => client.query('select 1')).then(
    () => true,
    () => false,
  );
}

/** A database with the present migrations, made once and then copied; its name is the digest of the files. */
async function migratedTemplate(at: (user: string, database: string) => pg.PoolConfig): Promise<string> {
  const migrations = await readMigrations();
  const name = `template_${schemaDigest(migrations).slice(0, 16)}`;
  const turn = Number.parseInt(name.slice(-7), 16);
  await withClient(at(SUPERUSER, 'postgres'), async (client) => {
    // a session lock on this connection: the others wait until the template is complete
    await client.query('select pg_advisory_lock($1)', [turn]);
    const { rowCount } = await client.query('select from pg_database where datname = $1 and datistemplate', [name]);
    if (rowCount !== 0) return;
    await client.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`);
    await createDatabase(client, name, undefined);
    const owner = new pg.Pool({ ...at(OWNER_ROLE, name), max: 1 });
    await migrate(owner, migrations).finally(() => owner.end());
    await client.query(`alter database ${pg.escapeIdentifier(name)} is_template true`);
  });
  return name;
}

async function createDatabase(client: pg.Client, name: string, template: string | undefined): Promise<void> {
  const from = pg.escapeIdentifier(template ?? 'template0');
  try {
    await client.query(
      `create database ${pg.escapeIdentifier(name)} owner ${OWNER_ROLE} template ${from} strategy file_copy`,
    );
  } catch (error) {
    if ((error as { code?: string }).code !== DUPLICATE_DATABASE) throw error;
  }
}

async function withClient<T>(config: pg.ClientConfig, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ ...config, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** One version of everything, where keys are not what is tested. */
export function fixedSecret(secret: Buffer): SecretReader {
  const key = { version: 1, secret };
  return { secret: () => Promise.resolve(key), candidates: () => Promise.resolve([key]) };
}
