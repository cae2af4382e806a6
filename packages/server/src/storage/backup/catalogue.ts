// Which tables a backup holds, in which order they can be filled again, and whether their owner sees all of their rows.
import pg from 'pg';
import { BackupRefused } from './container.ts';
import type { BackupEnd, Contents, TableStart } from './records.ts';

/** Schemas whose rows belong to us: the program's own, and the queue of jobs. */
const SCHEMAS = ['public', 'graphile_worker'];
/** Written by whoever makes the schema, not restored. */
const HISTORIES = ['public.schema_migrations', 'graphile_worker.migrations'];

export function tableName({ schema, name }: { schema: string; name: string }): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
}

export function columnList(table: TableStart): string {
  return table.columns.map((column) => pg.escapeIdentifier(column)).join(', ');
}

/** Every table with rows of its own, parents of partitions for their whole family, targets of foreign keys first. */
export async function listTables(client: pg.ClientBase): Promise<TableStart[]> {
  const { rows } = await client.query<TableStart & { targets: string[] }>(
    `
    select n.nspname as schema, c.relname as name,
      array(
        select a.attname::text from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        order by a.attnum
      ) as columns,
      array(
        select distinct tn.nspname || '.' || tc.relname
        from pg_constraint o join pg_class tc on tc.oid = o.confrelid join pg_namespace tn on tn.oid = tc.relnamespace
        where o.conrelid = c.oid and o.contype = 'f' and o.confrelid <> c.oid and o.conparentid = 0
      ) as targets
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any ($1) and c.relkind in ('r', 'p') and not c.relispartition
      and n.nspname || '.' || c.relname <> all ($2)
    order by 1, 2`,
    [SCHEMAS, HISTORIES],
  );
  return targetsFirst(rows);
}

function targetsFirst(tables: ReadonlyArray<TableStart & { targets: string[] }>): TableStart[] {
  const ordered: TableStart[] = [];
  const done = new Set<string>();
  let left = [...tables];
  while (left.length > 0) {
    const ready = left.filter(({ targets }) => targets.every((target) => done.has(target)));
    if (ready.length === 0) {
      throw new Error(`The foreign keys of ${left.map(({ name }) => name).join(', ')} form a circle`);
    }
    for (const { schema, name, columns } of ready) {
      ordered.push({ schema, name, columns });
      done.add(`${schema}.${name}`);
    }
    left = left.filter(({ schema, name }) => !done.has(`${schema}.${name}`));
  }
  return ordered;
}

export async function listPartitions(client: pg.ClientBase): Promise<Contents['partitions']> {
  const { rows } = await client.query<Contents['partitions'][number]>(`
    select c.relname as name, i.inhparent::regclass::text as parent, pg_get_expr(c.relpartbound, c.oid) as bound
    from pg_class c join pg_inherits i on i.inhrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relispartition and c.relkind = 'r'
    order by 1`);
  return rows;
}

export async function listSequences(client: pg.ClientBase): Promise<BackupEnd['sequences']> {
  const { rows } = await client.query<{ schema: string; table: string; column: string; sequence: string }>(
    `
    select n.nspname as schema, c.relname as table, a.attname as column,
      pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) as sequence
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any ($1) and c.relkind in ('r', 'p') and not c.relispartition and a.attidentity <> ''
    order by 1, 2, 3`,
    [SCHEMAS],
  );
  const sequences: BackupEnd['sequences'] = [];
  for (const { sequence, ...where } of rows) {
    // the name comes quoted from the catalogue
    const state = await client.query<{ last: string; isCalled: boolean }>(
      `select last_value::text as last, is_called as "isCalled" from ${sequence}`,
    );
    const [row] = state.rows;
    if (row !== undefined) sequences.push({ ...where, ...row });
  }
  return sequences;
}

/** Row level security filters silently; a backup that lacks rows is worse than none. @throws BackupRefused */
export async function requireEverythingVisible(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any ($1) and c.relkind in ('r', 'p') and not c.relispartition and c.relrowsecurity
      and not (select rolsuper or rolbypassrls from pg_roles where rolname = current_user)
      and not (pg_has_role(c.relowner, 'usage') and not c.relforcerowsecurity)
      and not exists (
        select from pg_policy p
        where p.polrelid = c.oid and p.polname = 'backup' and current_user::regrole = any (p.polroles)
      )`,
    [SCHEMAS],
  );
  if (rows.length === 0) return;
  throw new BackupRefused(
    `This user does not see every row of ${rows.map(({ name }) => name).join(', ')}. Start this version once, which ` +
      'gives the owner that right, or make the backup as a superuser with pg_dump.',
  );
}
