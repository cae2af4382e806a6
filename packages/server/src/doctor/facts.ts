// Looks at an installation: settings, files, limits, and the database through the connections that LumaTrace uses.
import { randomBytes } from 'node:crypto';
import { X509Certificate } from 'node:crypto';
import { readFile, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { unknownVariables, type Config } from '../config.ts';
import { kekPath, PLAIN_DOOR, readKek, SEALED_BY_ENGINE, type KekDoor } from '../data-folder.ts';
import { APP_ROLE, Database, sqlState, type Sql } from '../storage/database.ts';
import { listInstallationInventory } from '../storage/postgres/key-inventory.ts';
import type { Certificate, DatabaseFacts, Facts, Permissions } from './checks.ts';
import { lastBackup, refusedStarts } from '../notes.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** invalid_password and invalid_authorization_specification; any other failure says nothing about passwords. */
const REFUSED_LOGIN = new Set(['28P01', '28000']);

const AS_IT_LIES: KekDoor = {
  ...PLAIN_DOOR,
  unlock: async (line, file) => (line.startsWith(SEALED_BY_ENGINE) ? Buffer.from(line) : PLAIN_DOOR.unlock(line, file)),
};

/** Everything but the database. */
export async function installationFacts(config: Config, environment: Environment): Promise<Facts> {
  const kekFile = kekPath(config.dataDir, config.kekFile);
  const files = secretFilesOf(config);
  const [dataDir, kekPermissions, kekBytes, firstRun, coreLimit, ...secretFiles] = await Promise.all([
    permissionsOf(config.dataDir),
    permissionsOf(kekFile),
    // a key that is none is told by the start itself; of one that an engine sealed this is what lies in the file
    readKek(kekFile, AS_IT_LIES).catch(() => undefined),
    permissionsOf(join(config.dataDir, 'first-run.json')),
    coreLimitOfThisProcess(),
    ...files.map(permissionsOf),
  ]);
  return {
    nodeVersion: process.version,
    now: new Date(),
    host: config.host,
    publicUrl: config.publicUrl,
    isTls: config.tls !== 'off',
    hasTrustedProxies: config.trustedProxies.length > 0,
    databaseUrls: [config.databaseUrl, config.databaseDirectUrl].filter((url) => url !== undefined),
    metricsToken: config.metricsToken,
    hasSecurityContact: config.securityContact !== undefined,
    unknownVariables: unknownVariables(environment),
    dataDir,
    kek: kekPermissions === undefined || kekBytes === undefined ? undefined : { ...kekPermissions, bytes: kekBytes },
    hasFirstRunFile: firstRun !== undefined,
    coreLimit,
    certificates: await certificatesInFiles(config),
    secretFiles: secretFiles.filter((file) => file !== undefined),
    lastBackupAt: (await lastBackup(config.dataDir))?.at,
    disk: await roomAt(config.dataDir),
    refusedStarts: await refusedStarts(config.dataDir),
  };
}

/** Those that are there; a setting that names none is told by the start. */
function secretFilesOf({ tls, tlsKeyFile, dataDir, webhookSecretFile, c2paKeyFile }: Config): string[] {
  const ofTls = tls === 'files' ? tlsKeyFile : tls === 'generated' ? join(dataDir, 'tls', 'key.pem') : undefined;
  return [ofTls, webhookSecretFile, c2paKeyFile].filter((file) => file !== undefined);
}

async function certificatesInFiles({ tls, tlsCertFile, dataDir, c2paChainFile }: Config): Promise<Certificate[]> {
  const ofTls = tls === 'files' ? tlsCertFile : tls === 'generated' ? join(dataDir, 'tls', 'cert.pem') : undefined;
  const named = [
    ['of the listeners', ofTls],
    ['of yours that signs photographs', c2paChainFile],
  ] as const;
  const found = await Promise.all(
    named.map(async ([name, file]): Promise<Certificate[]> => {
      if (file === undefined) return [];
      // one that cannot be read is refused by the start
      const pem = await readFile(file).catch(() => undefined);
      try {
        return pem === undefined ? [] : [{ name, endsAt: new Date(new X509Certificate(pem).validTo) }];
      } catch {
        return [];
      }
    }),
  );
  return found.flat();
}

/** As far as this user may write. The folder itself may not be there yet. */
async function roomAt(dataDir: string): Promise<Facts['disk']> {
  const room = await statfs(dataDir).catch(() => statfs(join(dataDir, '..')).catch(() => undefined));
  return room === undefined ? undefined : { freeBytes: room.bavail * room.bsize, totalBytes: room.blocks * room.bsize };
}

/** Asks as the owner, and over TCP also with a wrong password. @throws DatabaseUnavailable */
export async function databaseFacts(database: Database, databaseUrl: string | undefined): Promise<DatabaseFacts> {
  const startedMs = Date.now();
  const { settings, now, isAppRoleMighty, certificates } = await database.inSystem(async (sql) => {
    const clock = await sql.query<{ now: Date }>('select clock_timestamp() as now');
    const answeredMs = Date.now();
    const { rows } = await sql.query<{ name: string; setting: string }>(
      `
        select name, setting
        from pg_settings
        where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'server_version_num')
      `,
    );
    const role = await sql.query<{ mighty: boolean }>(
      'select rolsuper or rolbypassrls as mighty from pg_roles where rolname = $1',
      [APP_ROLE],
    );
    return {
      settings: Object.fromEntries(rows.map(({ name, setting }) => [name, setting])),
      now: { theirs: clock.rows[0]?.now.getTime() ?? Number.NaN, answeredMs },
      isAppRoleMighty: role.rows[0]?.mighty === true,
      certificates: await signingCertificates(sql),
    };
  });
  const skewErrorMs = (now.answeredMs - startedMs) / 2;
  const takesAnyPassword = databaseUrl === undefined ? undefined : await letsAnybodyIn(databaseUrl);
  return {
    settings,
    isAppRoleMighty,
    certificates,
    skewMs: now.theirs - (startedMs + skewErrorMs),
    skewErrorMs,
    ...(takesAnyPassword !== undefined && { takesAnyPassword }),
  };
}

const SIGNING: ReadonlyMap<string, string> = new Map([
  ['leaf', 'that signs photographs'],
  ['issuing-ca', 'that issues it'],
  ['time-stamping', 'that signs time stamps'],
]);

/** The newest of each kind is in use; none before the first start. */
async function signingCertificates(sql: Sql): Promise<Certificate[]> {
  const { rows } = await sql.query<{ there: boolean }>(`select to_regclass('public.photo_keys') is not null as there`);
  if (rows[0]?.there !== true) return [];
  const newest = new Map<string, Certificate>();
  for (const { kind, endsAt, revokedAt } of await listInstallationInventory(sql)) {
    const name = SIGNING.get(kind);
    if (name === undefined || endsAt === null || revokedAt !== null || newest.has(kind)) continue;
    newest.set(kind, { name, endsAt });
  }
  return [...newest.values()];
}

/** Undefined where a password is not what lets us in: a Unix socket, or a client certificate. */
async function letsAnybodyIn(databaseUrl: string): Promise<boolean | undefined> {
  const url = new URL(databaseUrl);
  const host = url.searchParams.get('host') ?? decodeURIComponent(url.hostname);
  if (host === '' || host.startsWith('/') || url.searchParams.has('sslcert')) return undefined;
  url.password = randomBytes(16).toString('hex');
  const at = { connectionString: url.href };
  const database = new Database({ app: at, owner: at, maxConnections: 2 });
  try {
    await database.inSystem((sql) => sql.query('select 1'));
    return true;
  } catch (error) {
    const state = sqlState((error as Error).cause ?? error);
    return REFUSED_LOGIN.has(state ?? '') ? false : undefined;
  } finally {
    await database.close();
  }
}

async function permissionsOf(path: string): Promise<Permissions | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  return { path, mode: found.mode, isOurs: found.uid === (process.geteuid?.() ?? found.uid) };
}

async function coreLimitOfThisProcess(): Promise<number | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const soft = /^Max core file size\s+(\S+)/m.exec(limits)?.[1];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
