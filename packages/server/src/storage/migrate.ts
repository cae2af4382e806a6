// Brings a database to the newest schema: migrations/NNNN_name.sql, append-only, each in a transaction of its own.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { APP_ROLE } from './database.ts';

export interface Migration {
  version: number;
  name: string;
  sql: string;
  /** Lower-case hex of the file's bytes. */
  sha256: string;
}

export interface MigrateOptions {
  /** The owner's login also serves requests and takes the app role for them, as with an operator's DATABASE_URL. */
  takesRole?: boolean;
}

/** Thrown when the database and the files of this program disagree, or the database cannot carry the schema. */
export class MigrationRefused extends Error {
  readonly code = 'CONFLICT';
}

const FOLDER = fileURLToPath(new URL('../migrations/', import.meta.url));
const FILE_NAME = /^(\d{4})_([a-z0-9_]+)\.sql$/;
/** Key of the advisory lock that migrations take turns under: the bytes "LUMA". */
const TURN = 0x4c_55_4d_41;
const MIN_SERVER_VERSION = 150_000;

/** The migrations that this program brings, in order. */
export async function readMigrations(folder = FOLDER): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => FILE_NAME.test(file)).sort();
  const migrations = await Promise.all(files.map((file) => readMigration(folder, file)));
  const twice = migrations.find((one, i) => one.version === migrations[i + 1]?.version);
  if (twice !== undefined) throw new TypeError(`Two migrations carry the number ${twice.version}`);
  return migrations;
}

async function readMigration(folder: string, file: string): Promise<Migration> {
  const bytes = await readFile(`${folder}/${file}`);
  const [, version, name] = FILE_NAME.exec(file) as RegExpExecArray;
  return {
    version: Number(version),
    name: name as string,
    sql: bytes.toString('utf8'),
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
}

/** Digest over all of them: two databases with the same one have the same schema. */
export function schemaDigest(migrations: readonly Migration[]): string {
  return createHash('sha256')
    .update(migrations.map(({ sha256 }) => sha256).join('\n'))
    .digest('hex');
}

/**
 * Applies what is missing and returns how many that were. Safe when several processes start at once: they take turns
 * under an advisory lock held for one transaction, which also works through a pooler. Refuses a database that knows a
 * newer or an edited migration.
 */
export async function migrate(
  owner: pg.Pool,
  migrations: readonly Migration[],
  options: MigrateOptions = {},
): Promise<number> {
  const client = await owner.connect();
  try {
    await requireDatabase(client, options);
    await inTurn(client, () => client.query(HISTORY));
    let applied = 0;
    for (const migration of migrations) {
      if (await inTurn(client, () => applyOnce(client, migration, migrations))) applied++;
    }
    await inTurn(client, () => refuseUnknown(client, migrations));
    await inTurn(client, () => client.query(BACKUP_POLICIES));
    return applied;
  } finally {
    client.release();
  }
}

const HISTORY = `
  create table if not exists schema_migrations (
    version int primary key,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now()
  )`;

/**
 * FORCE row level security binds the owner too, and a backup must read everything: each such table gets a policy that
 * lets its owner, and nobody else, read while `app.backup` is on. Only `backup` sets that.
 */
const BACKUP_POLICIES = `
  do $$
  declare
    missing regclass;
  begin
    for missing in
      select c.oid
      from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relforcerowsecurity and not c.relispartition
        and not exists (
          select from pg_policy p
          where p.polrelid = c.oid and p.polname = 'backup' and p.polroles = array[current_user::regrole::oid]
        )
      order by c.relname
    loop
      execute format('drop policy if exists backup on %s', missing);
      execute format(
        'create policy backup on %s for select to current_user using (current_setting(''app.backup'', true) = ''on'')',
        missing
      );
    end loop;
  end
  $$`;

async function inTurn<T>(client: pg.PoolClient, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    await client.query('select pg_advisory_xact_lock($1)', [TURN]);
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

async function applyOnce(client: pg.PoolClient, migration: Migration, known: readonly Migration[]): Promise<boolean> {
  const { rows } = await client.query<{ sha256: string }>('select sha256 from schema_migrations where version = $1', [
    migration.version,
  ]);
  const recorded = rows[0]?.sha256;
  if (recorded === migration.sha256) return false;
  const label = `${String(migration.version).padStart(4, '0')}_${migration.name}`;
  if (recorded !== undefined) {
    throw new MigrationRefused(
      `The migration ${label} was edited after it had been applied to this database. Migrations are append-only: ` +
        'put the file back as it was and add a new one.',
    );
  }
  await refuseUnknown(client, known);
  try {
    await client.query(migration.sql);
  } catch (error) {
    throw new Error(`The migration ${label} failed: ${(error as Error).message}`, { cause: error });
  }
  await record(client, migration);
  return true;
}

async function record(client: pg.ClientBase, { version, name, sha256 }: Migration): Promise<void> {
  await client.query('insert into schema_migrations (version, name, sha256) values ($1, $2, $3)', [
    version,
    name,
    sha256,
  ]);
}

/** Applies migrations to an empty database inside the caller's transaction, for `restore`. */
export async function makeSchema(client: pg.ClientBase, migrations: readonly Migration[]): Promise<void> {
  await client.query(HISTORY);
  for (const migration of migrations) {
    await client.query(migration.sql);
    await record(client, migration);
  }
}

async function refuseUnknown(client: pg.PoolClient, known: readonly Migration[]): Promise<void> {
  const versions = known.map(({ version }) => version);
  const { rows } = await client.query<{ version: number; name: string }>(
    'select version, name from schema_migrations where version <> all ($1::int[]) order by version',
    [versions],
  );
  if (rows.length === 0) return;
  const names = rows.map(({ version, name }) => `${String(version).padStart(4, '0')}_${name}`).join(', ');
  throw new MigrationRefused(
    `This database was written by a newer LumaTrace: it knows ${names}, which this version does not. ` +
      'Start that version, or restore a backup made by this one.',
  );
}

/** Whether this server and its roles can carry the schema at all. @throws MigrationRefused */
export async function requireDatabase(client: pg.PoolClient, options: MigrateOptions = {}): Promise<void> {
  await requireServer(client);
  await requireAppRole(client, options.takesRole ?? false);
}

async function requireServer(client: pg.PoolClient): Promise<void> {
  const { rows } = await client.query<{ version: number; name: string }>(
    `select current_setting('server_version_num')::int as version, current_setting('server_version') as name`,
  );
  if ((rows[0]?.version ?? 0) >= MIN_SERVER_VERSION) return;
  throw new MigrationRefused(`Expected PostgreSQL 15 or newer but received ${rows[0]?.name ?? 'no version'}`);
}

/**
 * The role that every request runs as. Made here where the owner may; the embedded server brings it, and elsewhere an
 * operator makes it once. A role that could pass row level security by is refused, and so is an owner who cannot take it.
 */
async function requireAppRole(client: pg.PoolClient, takesRole: boolean): Promise<void> {
  const failure = await inTurn(client, () => client.query(MAKE_APP_ROLE)).then(
    () => undefined,
    (error: Error) => error,
  );
  const { rows } = await client.query<{ unbound: boolean; member: boolean; owner: string }>(
    `select rolsuper or rolbypassrls as unbound, pg_has_role(oid, 'member') as member, quote_ident(current_user) as owner
     from pg_roles
     where rolname = $1`,
    [APP_ROLE],
  );
  const [role] = rows;
  if (role === undefined) {
    throw new MigrationRefused(
      `The role ${APP_ROLE} is missing and this user may not make it. Once, as an administrator: ` +
        `create role ${APP_ROLE} nologin; grant ${APP_ROLE} to <the user of DATABASE_URL>;`,
      { cause: failure },
    );
  }
  if (role.unbound) {
    throw new MigrationRefused(
      `The role ${APP_ROLE} may pass row level security by. Once: alter role ${APP_ROLE} nosuperuser nobypassrls;`,
    );
  }
  if (takesRole && !role.member) {
    throw new MigrationRefused(
      `The user ${role.owner} is not a member of ${APP_ROLE}. Once, as an administrator: grant ${APP_ROLE} to ${role.owner};`,
    );
  }
}

const MAKE_APP_ROLE = `
  do $$
  begin
    if exists (select from pg_roles where rolname = '${APP_ROLE}') then
      return;
    end if;
    create role ${APP_ROLE} nologin nosuperuser nocreatedb nocreaterole nobypassrls;
    execute format('grant ${APP_ROLE} to %I', current_user);
  end
  $$`;
