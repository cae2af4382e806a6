// The dumped schema is current, and no table of a tenant has a hole in its row level security.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { testDatabase } from '../test/harness.ts';
import { dumpSchema, SCHEMA_FILE } from './schema.ts';

const db = await testDatabase();
after(() => db.close());

/** Questions about tables of tenants: those with a tenant_id, their partitions included. */
async function ask<Row extends object>(text: string): Promise<Row[]> {
  const { rows } = await db.database.ownerPool.query<Row>(`
    with tenant_tables as (
      select c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relispartition
      from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')
    )
    ${text}`);
  return rows;
}

/** Tables that carry a tenant's id and yet are not a tenant's: each with its reason. */
const NOT_OF_A_TENANT = new Map([['installation', 'one row that says which tenant the first start made']]);
const exempt = (rows: Array<{ name: string }>): string[] =>
  rows.map(({ name }) => name).filter((name) => !NOT_OF_A_TENANT.has(name.split(' ')[0] as string));

test('schema.sql is what the migrations make', async () => {
  const client = await db.database.ownerPool.connect();
  const dumped = await dumpSchema(client).finally(() => client.release());
  assert.equal(dumped, await readFile(SCHEMA_FILE, 'utf8'), 'run: node packages/server/src/storage/schema.ts --write');
});

test('there are tenant tables to ask about', async () => {
  const rows = await ask<{ name: string }>('select relname as name from tenant_tables');
  for (const name of ['tenants', 'tenant_keys', 'audit'])
    assert.ok(
      rows.some((row) => row.name === name),
      name,
    );
});

test('every tenant table enables and forces row level security', async () => {
  // day partitions are reached through their parent; the app role has no grant on them
  const rows = await ask<{ name: string }>(`
    select relname as name from tenant_tables t
    where not (relrowsecurity and relforcerowsecurity)
      and not (relispartition and not has_table_privilege('lumatrace_app', oid, 'select, insert, update, delete'))`);
  assert.deepEqual(exempt(rows), []);
});

test('every tenant table has one policy for all commands that checks what is read and what is written', async () => {
  const rows = await ask<{ name: string }>(`
    select relname as name from tenant_tables t
    where not relispartition and not exists (
      select from pg_policy p
      where p.polrelid = t.oid and p.polcmd = '*' and p.polroles = '{0}'
        and pg_get_expr(p.polqual, p.polrelid) like '%tenant_id = (NULLIF(current_setting(''app.tenant''%'
        and pg_get_expr(p.polwithcheck, p.polrelid) = pg_get_expr(p.polqual, p.polrelid)
    )`);
  assert.deepEqual(exempt(rows), []);
});

test('no policy for the app role is open to every row', async () => {
  const rows = await ask<{ name: string }>(`
    select t.relname || ' ' || p.polname as name
    from tenant_tables t join pg_policy p on p.polrelid = t.oid
    where (p.polroles = '{0}' or 'lumatrace_app'::regrole = any (p.polroles))
      and (pg_get_expr(p.polqual, p.polrelid) = 'true' or pg_get_expr(p.polwithcheck, p.polrelid) = 'true'
        or (p.polcmd in ('*', 'w') and p.polwithcheck is null))`);
  assert.deepEqual(exempt(rows), []);
});

test('the tenant comes first in every key and index of a tenant table', async () => {
  // a hash index answers equality with a full secret only, enforces nothing and lists nothing
  const rows = await ask<{ name: string }>(`
    select t.relname || ' ' || c.relname as name
    from tenant_tables t
    join pg_index i on i.indrelid = t.oid
    join pg_class c on c.oid = i.indexrelid
    join pg_am m on m.oid = c.relam
    join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0]
    where a.attname <> 'tenant_id' and not (m.amname = 'hash' and not i.indisunique)
    union all
    select t.relname || ' ' || c.relname
    from tenant_tables t
    join pg_index i on i.indrelid = t.oid and i.indkey[0] = 0
    join pg_class c on c.oid = i.indexrelid`);
  assert.deepEqual(exempt(rows), []);
});

test('a foreign key between tenant tables begins with the tenant on both sides', async () => {
  const rows = await ask<{ name: string }>(`
    select t.relname || ' ' || o.conname as name
    from tenant_tables t
    join pg_constraint o on o.conrelid = t.oid and o.contype = 'f'
    join tenant_tables target on target.oid = o.confrelid
    join pg_attribute a on a.attrelid = o.conrelid and a.attnum = o.conkey[1]
    join pg_attribute b on b.attrelid = o.confrelid and b.attnum = o.confkey[1]
    where a.attname <> 'tenant_id' or b.attname <> 'tenant_id'`);
  assert.deepEqual(exempt(rows), []);
});

test('the app role may neither truncate nor reference nor trigger, nor make anything, nor own anything', async () => {
  const { rows } = await db.database.ownerPool.query<{ name: string }>(`
    select c.relname || ' ' || privilege as name
    from pg_class c, unnest(array['truncate', 'references', 'trigger', 'maintain']) as privilege
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
      and has_table_privilege('lumatrace_app', c.oid, privilege)
    union all
    select 'create in public' where has_schema_privilege('lumatrace_app', 'public', 'create')
    union all
    select 'owns ' || relname from pg_class where relowner = 'lumatrace_app'::regrole
    union all
    select 'is a member of ' || roleid::regrole from pg_auth_members where member = 'lumatrace_app'::regrole
    union all
    select 'attribute' from pg_roles
    where rolname = 'lumatrace_app' and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)`);
  assert.deepEqual(rows, []);
});

test('there are no security definer functions and no views', async () => {
  const { rows } = await db.database.ownerPool.query(`
    select proname as name from pg_proc where pronamespace = 'public'::regnamespace and prosecdef
    union all
    select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('v', 'm')`);
  assert.deepEqual(rows, []);
});

test('the audit log is appended and read by the app role, never changed', async () => {
  const { rows } = await db.database.ownerPool.query<Record<string, boolean>>(`
    select has_table_privilege('lumatrace_app', 'audit', 'insert') as insert,
      has_table_privilege('lumatrace_app', 'audit', 'select') as select,
      has_any_column_privilege('lumatrace_app', 'audit', 'update') as update,
      has_table_privilege('lumatrace_app', 'audit', 'delete') as delete`);
  assert.deepEqual(rows, [{ insert: true, select: true, update: false, delete: false }]);
});

test('one tenant neither sees nor changes nor makes rows of another', async () => {
  const [mine, other] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'] as const;
  await db.database.inSystem((sql) =>
    sql.query(`insert into tenants (tenant_id, name) values ($1, 'mine'), ($2, 'other')`, [mine, other]),
  );
  const names = await db.database.inTenant(mine, (sql) => sql.query<{ name: string }>('select name from tenants'));
  assert.deepEqual(names.rows, [{ name: 'mine' }]);
  const changed = await db.database.inTenant(mine, (sql) =>
    sql.query(`update tenants set name = 'taken' where tenant_id = $1`, [other]),
  );
  assert.equal(changed.rowCount, 0);
  const foreign = db.database.inTenant(mine, (sql) =>
    sql.query(
      `insert into audit (tenant_id, actor, action, object, outcome) values ($1, 'key:x', 'test', 'tenant', 'done')`,
      [other],
    ),
  );
  await assert.rejects(foreign, /row-level security/);
  const none = await db.database.inLookup('', (sql) => sql.query('select from tenants'));
  assert.equal(none.rowCount, 0);
});

test('the owner reads closed rows only while a backup is on, and the app role never does', async () => {
  const tenant = '00000000-0000-4000-8000-000000000003';
  await db.database.inSystem((sql) => sql.query(`insert into tenants (tenant_id, name) values ($1, 'x')`, [tenant]));
  await db.database.inTenant(tenant, (sql) =>
    sql.query(
      `insert into audit (tenant_id, actor, action, object, outcome) values ($1, 'key:x', 'test', 'tenant', 'done')`,
      [tenant],
    ),
  );
  const count = `select count(*)::int as n from audit where tenant_id = '${tenant}'`;
  const on = `select set_config('app.backup', 'on', true)`;
  const asOwner = await db.database.inSystem((sql) => sql.query<{ n: number }>(count));
  assert.deepEqual(asOwner.rows, [{ n: 0 }]);
  const inBackup = await db.database.inSystem(async (sql) => (await sql.query(on), sql.query<{ n: number }>(count)));
  assert.deepEqual(inBackup.rows, [{ n: 1 }]);
  const asApp = await db.database.inLookup('x', async (sql) => (await sql.query(on), sql.query<{ n: number }>(count)));
  assert.deepEqual(asApp.rows, [{ n: 0 }]);
});
