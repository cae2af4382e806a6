// Puts tenants and people into a started instance's database: what has no route yet, and tests of isolation need two of.
import { randomUUID } from 'node:crypto';
import { hash } from '@node-rs/argon2';
import { newApiKey } from '../access/api-key-text.ts';
import { createApiKeys } from '../access/api-keys.ts';
import { keepAuditChain } from '../access/audit.ts';
import { ROLES, SCOPES, type Role } from '../access/principal.ts';
import { kekPath, readKek } from '../data-folder.ts';
import { createInstallationKeys } from '../keys/installation-keys.ts';
import { kekFromBytes } from '../keys/kek.ts';
import { createPeopleSeal } from '../keys/people-seal.ts';
import { APP_ROLE, Database, type Sql } from '../storage/database.ts';
import { existingCluster, runningSocketDir } from '../storage/embedded/cluster.ts';
import { DATABASE_NAME, OWNER_ROLE } from '../storage/embedded/provision.ts';
import { actAsAccount, insertAccount, insertMembership } from '../storage/postgres/accounts.ts';
import { keepSeals } from '../storage/seals.ts';
import { insertTenant } from '../storage/postgres/tenants.ts';

export interface Settler {
  role: Role;
  email: string;
  password: string;
}

export interface Settlement {
  tenantId: string;
  name: string;
  /** Holds every scope. */
  apiKey: string;
  /** One person of each role, the password changed already. */
  people: Settler[];
}

export interface Population {
  /** A new tenant with a key and a person of each role; `requestsPerHour` is its own limit on /api/v1. */
  settle(name: string, options?: { requestsPerHour?: number }): Promise<Settlement>;
  /** Those of the request ids that have a line in the tenant's audit log. */
  audited(tenantId: string, requestIds: readonly string[]): Promise<Set<string>>;
  /** One more person of a tenant; without a password that anybody knows. */
  addPerson(tenantId: string, person: { email: string; name: string }): Promise<void>;
  /** In a transaction of the owner, who sees every tenant's rows as a backup does. */
  asOwner<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  ownerPool: Database['ownerPool'];
  close(): Promise<void>;
}

/**
 * `elsewhere` is the database of an instance that has none of its own; `close` closes it.
 * @throws Error when the instance in `dataDir` does not run, or has its database elsewhere and none was given.
 */
export async function openPopulation(dataDir: string, elsewhere?: Database): Promise<Population> {
  const database = elsewhere ?? (await databaseOf(dataDir));
  const kek = await readKek(kekPath(dataDir, undefined));
  if (kek === undefined) throw new Error(`Expected a key in ${dataDir}`);
  const installationKeys = createInstallationKeys({ database, kek: kekFromBytes(kek) });
  keepAuditChain(database, (await installationKeys.secret('audit-chain')).secret);
  keepSeals(database, { people: createPeopleSeal(installationKeys) });
  const apiKeys = createApiKeys({ database, secrets: installationKeys, nowMs: Date.now, onError: () => {} });
  return {
    async settle(name, { requestsPerHour } = {}) {
      const tenantId = randomUUID();
      const apiKey = newApiKey('live');
      const password = `${randomUUID()}-${randomUUID()}`;
      const argon2id = await hash(password, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });
      const people = ROLES.map((role) => ({ role, email: `${role}-${tenantId}@attack.test`, password }));
      await database.inTenant(tenantId, async (sql) => {
        await insertTenant(sql, { tenantId, name });
        await sql.query('update tenants set requests_per_hour = $2 where tenant_id = $1', [tenantId, requestsPerHour]);
        await apiKeys.recordIn(sql, tenantId, 'system', apiKey, { name: 'First key', scopes: SCOPES, expiresAt: null });
        for (const { role, email } of people) {
          const accountId = randomUUID();
          await actAsAccount(sql, accountId);
          await insertAccount(sql, { accountId, email, name: role, mustChangePassword: false, argon2id });
          await insertMembership(sql, { tenantId, accountId, role });
        }
      });
      return { tenantId, name, apiKey, people };
    },
    async audited(tenantId, requestIds) {
      const { rows } = await database.inTenant(tenantId, (sql) =>
        sql.query<{ id: string }>('select distinct request_id as id from audit where request_id = any($1)', [
          requestIds,
        ]),
      );
      return new Set(rows.map(({ id }) => id));
    },
    async addPerson(tenantId, person) {
      const accountId = randomUUID();
      await database.inTenant(tenantId, async (sql) => {
        await actAsAccount(sql, accountId);
        await insertAccount(sql, { ...person, accountId, mustChangePassword: false, argon2id: '$argon2id$none' });
        await insertMembership(sql, { tenantId, accountId, role: 'viewer' });
      });
    },
    asOwner: (work) =>
      database.inSystem(async (sql) => {
        await sql.query(`select set_config('app.backup', 'on', true)`);
        return work(sql);
      }),
    ownerPool: database.ownerPool,
    close: () => database.close(),
  };
}

async function databaseOf(dataDir: string): Promise<Database> {
  const folder = await existingCluster(dataDir);
  const socketDir = folder === undefined ? undefined : await runningSocketDir(folder);
  if (socketDir === undefined) throw new Error(`Expected a running database in ${dataDir}`);
  const at = (user: string) => ({ host: socketDir, port: 5432, user, database: DATABASE_NAME });
  return new Database({ app: at(APP_ROLE), owner: at(OWNER_ROLE), maxConnections: 3 });
}
