// The roles and the database of a fresh embedded cluster; the superuser is used here and for nothing else.
import pg from 'pg';
import { APP_ROLE } from '../database.ts';
import { SUPERUSER, type Cluster } from './cluster.ts';

/** Owns the database and its tables; runs migrations, partitions and jobs. Bound by FORCE row level security. */
export const OWNER_ROLE = 'lumatrace_owner';
export const DATABASE_NAME = 'lumatrace';

const DUPLICATE_DATABASE = '42P04';

/** Makes the roles and the database where they are missing. Killed in the middle, the next start goes on from there. */
export async function provision(cluster: Cluster, database = DATABASE_NAME): Promise<void> {
  const client = new pg.Client(cluster.connection(SUPERUSER, 'postgres'));
  await client.connect();
  try {
    await client.query(ROLES);
    await createDatabase(client, database);
  } finally {
    await client.end();
  }
}

const ROLES = `
  do $$
  begin
    if not exists (select from pg_roles where rolname = '${OWNER_ROLE}') then
      create role ${OWNER_ROLE} login nosuperuser nocreatedb nocreaterole nobypassrls;
    end if;
    if not exists (select from pg_roles where rolname = '${APP_ROLE}') then
      create role ${APP_ROLE} login nosuperuser nocreatedb nocreaterole nobypassrls;
    end if;
  exception
    when duplicate_object or unique_violation then null; -- two starts at once
  end
  $$`;

async function createDatabase(client: pg.Client, database: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
  if (rowCount !== 0) return;
  const name = pg.escapeIdentifier(database);
  try {
    await client.query(`create database ${name} owner ${OWNER_ROLE} template template0`);
  } catch (error) {
    if ((error as { code?: string }).code !== DUPLICATE_DATABASE) throw error;
  }
}
