// The first start: one tenant, its first person, a key and a service account, and the file that tells them.
// Killed at any moment, the next start finds either nothing or everything.
import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Database } from '../storage/database.ts';
import { actAsAccount, insertAccount, insertMembership } from '../storage/postgres/accounts.ts';
import { insertServiceAccount } from '../storage/postgres/service-accounts.ts';
import { claimInstallation, insertTenant, installedTenant } from '../storage/postgres/tenants.ts';
import type { ApiKeys } from './api-keys.ts';
import { newApiKey } from './api-key-text.ts';
import { audit } from './audit.ts';
import { newUsername } from './machines.ts';
import { newPassword, type Passwords } from './passwords.ts';
import { SCOPES } from './principal.ts';

const FILE_NAME = 'first-run.json';
const OWNER_ONLY = 0o600;
const ADMIN_EMAIL = 'admin@lumatrace.local';
const TENANT_NAME = 'Default';

/** The contract's `DATA/first-run.json`. */
export interface FirstRun {
  url: string;
  otlpUrl: string;
  admin: { email: string; password: string };
  tenant: { id: string; name: string };
  apiKey: string;
  serviceAccount: { username: string; password: string };
}

export interface BootstrapOptions {
  database: Database;
  apiKeys: ApiKeys;
  passwords: Passwords;
  dataDir: string;
  url: string;
  otlpUrl: string;
  /** Days that telemetry of the first tenant is kept, unless its owner changes that. */
  retentionDays: number | undefined;
}

export interface Bootstrap {
  /** The tenant of the installation, made now or earlier. */
  tenantId: string;
  /** Whether this start made it. */
  isFirst: boolean;
}

/**
 * Makes the installation once. Order: secrets into a temporary file on disk, rows in one transaction, then the file
 * gets its name. A start that finds rows and a temporary file finishes the last step; one that finds the file without
 * rows throws it away. Of two processes on one database, one makes the rows and writes the file.
 */
export async function bootstrap(options: BootstrapOptions): Promise<Bootstrap> {
  const { database, dataDir } = options;
  const path = firstRunPath(dataDir);
  const pending = `${path}.pending`;
  const existing = await database.inLookup('', installedTenant);
  if (existing !== undefined) {
    await finish(pending, path, existing);
    return { tenantId: existing, isFirst: false };
  }
  await rm(pending, { force: true });
  const firstRun = newFirstRun(options);
  await writeDurably(pending, `${JSON.stringify(firstRun, null, 2)}\n`);
  const isFirst = await commit(options, firstRun);
  if (!isFirst) await rm(pending, { force: true });
  else await finish(pending, path, firstRun.tenant.id);
  const tenantId = await database.inLookup('', installedTenant);
  if (tenantId === undefined) throw new Error('The installation was made and is not there.');
  return { tenantId, isFirst };
}

export function firstRunPath(dataDir: string): string {
  return join(dataDir, FILE_NAME);
}

/** The file's path while it is still there. */
export async function firstRunFile(dataDir: string): Promise<string | undefined> {
  const path = firstRunPath(dataDir);
  return stat(path).then(
    () => path,
    () => undefined,
  );
}

/** True when there was a file to delete. */
export async function deleteFirstRunFile(dataDir: string): Promise<boolean> {
  const path = await firstRunFile(dataDir);
  if (path === undefined) return false;
  await rm(path, { force: true });
  return true;
}

function newFirstRun({ url, otlpUrl }: BootstrapOptions): FirstRun {
  return {
    url,
    otlpUrl,
    admin: { email: ADMIN_EMAIL, password: newPassword() },
    tenant: { id: randomUUID(), name: TENANT_NAME },
    apiKey: newApiKey('live'),
    serviceAccount: { username: newUsername(), password: newPassword() },
  };
}

async function commit(
  { database, apiKeys, passwords, retentionDays }: BootstrapOptions,
  firstRun: FirstRun,
): Promise<boolean> {
  const { admin, tenant, serviceAccount, apiKey } = firstRun;
  const [adminHash, serviceHash] = await Promise.all([
    passwords.hash(admin.password),
    passwords.hash(serviceAccount.password),
  ]);
  const accountId = randomUUID();
  return database.inTenant(tenant.id, async (sql) => {
    if (!(await claimInstallation(sql, tenant.id))) return false;
    await insertTenant(sql, { tenantId: tenant.id, name: tenant.name, retentionClass: retentionDays });
    await actAsAccount(sql, accountId);
    await insertAccount(sql, {
      accountId,
      email: admin.email,
      name: 'Administrator',
      mustChangePassword: true,
      argon2id: adminHash,
    });
    await insertMembership(sql, { tenantId: tenant.id, accountId, role: 'owner' });
    await apiKeys.recordIn(sql, tenant.id, 'system', apiKey, { name: 'First key', scopes: SCOPES, expiresAt: null });
    await insertServiceAccount(sql, {
      tenantId: tenant.id,
      serviceAccountId: randomUUID(),
      username: serviceAccount.username,
      name: null,
      argon2id: serviceHash,
      scopes: [...SCOPES],
      createdAt: new Date(),
      createdBy: 'system',
      expiresAt: null,
    });
    await audit(sql, {
      tenantId: tenant.id,
      actor: 'system',
      action: 'installation.create',
      object: `tenant:${tenant.id}`,
      outcome: 'done',
      requestId: 'first-start',
    });
    return true;
  });
}

/** The last step, also after a crash before it: the pending file is ours only when it tells of the committed tenant. */
async function finish(pending: string, path: string, tenantId: string): Promise<void> {
  const text = await readFile(pending, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  if (tenantOf(text) === tenantId) {
    await rename(pending, path);
    await syncDirectory(dirname(path));
  } else {
    await rm(pending, { force: true });
  }
}

function tenantOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as Partial<FirstRun>).tenant?.id;
  } catch {
    return undefined;
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', OWNER_ONLY);
  try {
    await file.writeFile(text, 'utf8');
    await file.sync();
  } finally {
    await file.close();
  }
  await syncDirectory(dirname(path));
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  await directory.sync().finally(() => directory.close());
}
