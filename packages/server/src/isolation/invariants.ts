// What the catalogue must say for tenants to stay apart, as SQL: asked by the tests of every change, and every hour where the
// program runs, since a hole can also be made by hand. Each question answers with the names of what is wrong.
import { APP_ROLE, type Sql } from '../storage/database.ts';

export interface Invariant {
  name: string;
  /** Selects `name`: what breaks it. $1 is the application's role where the text has it. */
  sql: string;
  /** Name → why it may be so. */
  allowed?: ReadonlyMap<string, string>;
}

export interface Breach {
  invariant: string;
  object: string;
}

const TENANT_TABLES = `
  with tenant_tables as (
    select c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relispartition
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
      and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
  )`;
const IS_APP = `(p.polroles = '{0}' or to_regrole($1)::oid = any (p.polroles))`;
const INSTALLATION = new Map([['installation', 'one row that says which tenant the first start made']]);

/** Policies beside the tenant's own: each shows a row only to whoever names the whole value, or says why not. */
const OTHER_POLICIES = new Map([
  ['installation installation_is_known', 'whoever starts the program asks whether it was started before'],
  ['installation installation_is_made_once', 'written once by the first start'],
  ['memberships membership_of_account', 'a person chooses among the own tenants'],
  ['sessions session_by_hash', 'a cookie is looked up by its HMAC before the tenant is known'],
  ['sessions session_of_account', 'a person sees the own sessions in every tenant'],
  ['sessions session_ended_by_account', 'a person ends the own sessions in every tenant'],
  ['api_keys api_key_by_hash', 'a key is looked up by its HMAC before the tenant is known'],
  ['service_accounts service_account_by_username', 'a service account logs in by its whole name'],
  ['invitations invitation_by_token', 'an invitation is looked up by the hash of its link before the tenant is known'],
  [
    'oidc_providers oidc_provider_by_id',
    'whoever begins to log in names a provider by its id, before the tenant is known',
  ],
  ['oidc_providers oidc_provider_listed', 'its tenant wants it on the login page, for everybody'],
  ['tenants tenant_of_account', 'a person chooses among the own tenants by their names'],
  [
    'tenant_erasures erasure_by_id',
    'a certificate of erasure is read by its id: nobody can log in to the tenant any more',
  ],
  ['published_photos published_photos_for_all', 'publishing means that everybody may look it up'],
]);

export const INVARIANTS: readonly Invariant[] = [
  {
    name: 'every table of tenants enables and forces row level security',
    sql: `${TENANT_TABLES}
      select relname as name from tenant_tables
      where not (relrowsecurity and relforcerowsecurity)
        and not (relispartition and not has_table_privilege($1, oid, 'select, insert, update, delete'))`,
    allowed: INSTALLATION,
  },
  {
    name: 'every table of tenants has one policy for all commands, by tenant, for what is read and what is written',
    sql: `${TENANT_TABLES}
      select relname as name from tenant_tables t
      where not relispartition and $1::text is not null and not exists (
        select from pg_policy p
        where p.polrelid = t.oid and p.polcmd = '*' and p.polroles = '{0}' and p.polpermissive
          and pg_get_expr(p.polqual, p.polrelid)
            = '(tenant_id = (NULLIF(current_setting(''app.tenant''::text, true), ''''::text))::uuid)'
          and pg_get_expr(p.polwithcheck, p.polrelid) = pg_get_expr(p.polqual, p.polrelid)
      )`,
    allowed: INSTALLATION,
  },
  {
    name: 'no other policy lets the application at rows of tenants',
    sql: `${TENANT_TABLES}
      select t.relname || ' ' || p.polname as name
      from tenant_tables t join pg_policy p on p.polrelid = t.oid
      where ${IS_APP} and p.polpermissive
        and pg_get_expr(p.polqual, p.polrelid) is distinct from
          '(tenant_id = (NULLIF(current_setting(''app.tenant''::text, true), ''''::text))::uuid)'`,
    allowed: OTHER_POLICIES,
  },
  {
    name: 'the role of the application is bound by policies and owns nothing',
    sql: `
      select 'role ' || attribute as name
      from pg_roles r, lateral (values
        ('superuser', rolsuper), ('bypassrls', rolbypassrls), ('createrole', rolcreaterole), ('createdb', rolcreatedb),
        ('replication', rolreplication)) as a (attribute, has)
      where r.rolname = $1 and a.has
      union all
      select 'owns ' || relname from pg_class where relowner = to_regrole($1)
      union all
      select 'member of ' || roleid::regrole from pg_auth_members where member = to_regrole($1)
      union all
      select 'creates in ' || nspname from pg_namespace
      where nspname in ('public', 'graphile_worker') and has_schema_privilege($1, oid, 'create')
      union all
      select 'missing' where to_regrole($1) is null`,
  },
  {
    name: 'the application may neither truncate nor reference nor trigger nor maintain',
    sql: `
      select c.relname || ' ' || privilege as name
      from pg_class c, unnest(
        array['truncate', 'references', 'trigger']
        || case when current_setting('server_version_num')::int >= 170000 then array['maintain'] else '{}' end
      ) as privilege
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
        and has_table_privilege($1, c.oid, privilege)`,
  },
  {
    name: 'the audit log is appended and read, never changed',
    sql: `
      select 'audit ' || privilege as name
      from unnest(array['update', 'delete', 'truncate']) as privilege
      where case when privilege = 'update' then has_any_column_privilege($1, 'public.audit', privilege)
        else has_table_privilege($1, 'public.audit', privilege) end`,
  },
  {
    name: 'the tree of the transparency log is written by the owner, and appended to by everybody',
    sql: `
      select c.relname || ' ' || privilege as name
      from pg_class c, unnest(array['insert', 'update', 'delete', 'truncate']) as privilege
      where c.relnamespace = 'public'::regnamespace
        and c.relname in ('log_leaves', 'log_subtrees', 'log_checkpoints')
        and case when privilege in ('insert', 'update') then has_any_column_privilege($1, c.oid, privilege)
          else has_table_privilege($1, c.oid, privilege) end
      union all
      select guarded || ' without its trigger'
      from unnest(array['log_leaves', 'log_subtrees', 'log_checkpoints', 'log_entries']) as guarded
      where not exists (
        select from pg_trigger t
        where t.tgrelid = to_regclass('public.' || guarded) and t.tgname in ('append_only', 'never_changed')
          and t.tgenabled in ('O', 'A')
      )`,
  },
  {
    name: 'what is the owner’s alone is out of reach of the application',
    sql: `
      select c.relname || ' ' || privilege as name
      from pg_class c, unnest(array['select', 'insert', 'update', 'delete']) as privilege
      where c.relnamespace = 'public'::regnamespace
        and c.relname in (
          'installation_keys', 'signing_keys', 'log_key', 'kek_check', 'security_alerts', 'schema_migrations'
        )
        and has_table_privilege($1, c.oid, privilege)`,
  },
  {
    name: 'tables that the application reaches belong to tenants or are bound by policies',
    sql: `
      select c.relname as name
      from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'f') and not c.relrowsecurity
        and has_any_column_privilege($1, c.oid, 'select, insert, update')`,
    allowed: new Map([
      ['price_tables', 'every tenant reads the same table of list prices; the owner alone writes it'],
      ['log_leaves', 'the transparency log is public: hashes that the owner alone writes'],
      ['log_subtrees', 'the transparency log is public: hashes that the owner alone writes'],
      ['log_checkpoints', 'the transparency log is public: what was signed'],
      ['log_pending', 'every tenant appends hashes; the application cannot read them back'],
    ]),
  },
  {
    name: 'nobody but the owner and the application holds a right, PUBLIC least of all',
    sql: `
      select c.relname || ' ' || case when grant_.grantee = 0 then 'public' else grant_.grantee::regrole::text end as name
      from pg_class c, aclexplode(c.relacl) as grant_
      where c.relnamespace = 'public'::regnamespace and grant_.grantee <> c.relowner
        and grant_.grantee is distinct from to_regrole($1)::oid`,
  },
  {
    name: 'no function runs with the rights of its owner',
    sql: `
      select proname as name from pg_proc
      where pronamespace = 'public'::regnamespace and prosecdef and $1::text is not null`,
  },
  {
    name: 'views ask with the rights of the caller, and nothing is materialised',
    sql: `
      select relname as name from pg_class
      where relnamespace = 'public'::regnamespace and $1::text is not null
        and (relkind = 'm' or (relkind = 'v' and not coalesce('security_invoker=true' = any (reloptions), false)))`,
  },
  {
    name: 'the tenant comes first in every index of a table of tenants',
    sql: `${TENANT_TABLES}
      select t.relname || ' ' || c.relname as name
      from tenant_tables t
      join pg_index i on i.indrelid = t.oid
      join pg_class c on c.oid = i.indexrelid
      join pg_am m on m.oid = c.relam
      left join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0] and i.indkey[0] <> 0
      where $1::text is not null and a.attname is distinct from 'tenant_id'
        -- equality with a whole secret alone: lists nothing, enforces nothing
        and not (m.amname = 'hash' and not i.indisunique)`,
    allowed: new Map([['installation installation_pkey', 'a table of one row']]),
  },
  {
    name: 'a foreign key between tables of tenants begins with the tenant on both sides',
    sql: `${TENANT_TABLES}
      select t.relname || ' ' || o.conname as name
      from tenant_tables t
      join pg_constraint o on o.conrelid = t.oid and o.contype = 'f'
      join tenant_tables target on target.oid = o.confrelid
      join pg_attribute a on a.attrelid = o.conrelid and a.attnum = o.conkey[1]
      join pg_attribute b on b.attrelid = o.confrelid and b.attnum = o.confkey[1]
      where $1::text is not null and (a.attname <> 'tenant_id' or b.attname <> 'tenant_id')`,
  },
  {
    name: 'no counter tells one tenant how busy the others are',
    sql: `
      select c.relname as name
      from pg_class c
      where c.relnamespace = 'public'::regnamespace
        -- in a case, so that other relations are never asked
        and case when c.relkind = 'S' then has_sequence_privilege($1, c.oid, 'usage, select, update') else false end`,
  },
];

/** Asks them all in the caller's transaction, as the owner. Empty: tenants are kept apart as designed. */
export async function findBreaches(sql: Sql, invariants = INVARIANTS): Promise<Breach[]> {
  const breaches: Breach[] = [];
  for (const { name, sql: text, allowed } of invariants) {
    const { rows } = await sql.query<{ name: string }>(text, [APP_ROLE]);
    for (const { name: object } of rows) if (allowed?.has(object) !== true) breaches.push({ invariant: name, object });
  }
  return breaches;
}
