// The catalogue as the migrations make it has no hole, and each kind of hole is found when it is planted.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import type { Sql } from '../storage/database.ts';
import { testDatabase } from '../test/harness.ts';
import { findBreaches, INVARIANTS } from './invariants.ts';

const db = await testDatabase();
const admin = new pg.Pool({ ...db.superuser, max: 1 });
// its end does not wait for the socket, which the forced drop of the database may then cut
admin.on('connect', (client) => client.on('error', () => {}));
after(async () => {
  await admin.end();
  await db.close();
});

/** By a part of the name of the invariant that must find it. */
const HOLES: ReadonlyArray<readonly [finds: string, hole: string]> = [
  ['enables and forces', 'alter table sessions no force row level security'],
  ['enables and forces', 'alter table api_keys disable row level security'],
  ['enables and forces', 'create table planted (tenant_id uuid primary key)'],
  ['one policy for all', 'drop policy tenant on audit'],
  ['one policy for all', 'alter policy tenant on audit with check (tenant_id is not null)'],
  ['no other policy', 'create policy planted on audit for select using (true)'],
  ['no other policy', `create policy planted on photos for update using (current_setting('app.admin', true) = 'on')`],
  ['owns nothing', 'alter table tenants owner to lumatrace_app'],
  ['owns nothing', 'grant create on schema public to lumatrace_app'],
  ['neither truncate', 'grant truncate on audit to lumatrace_app'],
  ['neither truncate', 'grant trigger on photos to lumatrace_app'],
  ['never changed', 'grant update (outcome) on audit to lumatrace_app'],
  ['never changed', 'grant delete on audit to lumatrace_app'],
  ['transparency log', 'grant insert on log_leaves to lumatrace_app'],
  ['transparency log', 'grant update (note) on log_checkpoints to lumatrace_app'],
  ['transparency log', 'drop trigger append_only on log_leaves'],
  ['transparency log', 'alter table log_entries disable trigger never_changed'],
  ['owner’s alone', 'grant select on log_key to lumatrace_app'],
  ['owner’s alone', 'grant select on installation_keys to lumatrace_app'],
  ['bound by policies', 'create table planted (x int); grant select on planted to lumatrace_app'],
  ['PUBLIC least', 'grant select on tenants to public'],
  [
    'rights of its owner',
    `create function planted() returns bigint language sql security definer as 'select 1::bigint'`,
  ],
  ['rights of the caller', 'create view planted as select * from audit'],
  ['rights of the caller', 'create materialized view planted as select * from audit'],
  ['tenant comes first', 'create index planted on audit (at)'],
  ['tenant comes first', 'create unique index planted on audit (lower(actor))'],
  ['foreign key', 'alter table audit add unique (seq), add column twin bigint references audit (seq)'],
  ['no counter', 'grant usage on sequence audit_seq_seq to lumatrace_app'],
];

async function inVain(work: (sql: Sql) => Promise<void>): Promise<void> {
  const client = await admin.connect();
  const query = (text: string, values: readonly unknown[] = []): Promise<unknown> => client.query(text, [...values]);
  try {
    await client.query('begin');
    await work({ door: admin, query: query as Sql['query'] });
  } finally {
    await client.query('rollback');
    client.release();
  }
}

test('the schema as it is has no hole', async () => {
  assert.deepEqual(await db.database.inSystem((sql) => findBreaches(sql)), []);
});

for (const [finds, hole] of HOLES) {
  test(`found: ${hole}`, () =>
    inVain(async (sql) => {
      for (const statement of hole.split('; ')) await sql.query(statement);
      const breaches = await findBreaches(sql);
      assert.ok(
        breaches.some(({ invariant }) => invariant.includes(finds)),
        JSON.stringify(breaches),
      );
    }));
}

test('a role that passes policies by is found', () =>
  inVain(async (sql) => {
    await sql.query('alter role lumatrace_app bypassrls');
    assert.ok((await findBreaches(sql)).some(({ object }) => object === 'role bypassrls'));
  }));

test('every invariant has a hole that it finds, and every exception is still needed', async () => {
  for (const { name } of INVARIANTS)
    assert.ok(
      HOLES.some(([finds]) => name.includes(finds)),
      name,
    );
  const bare = INVARIANTS.map(({ name, sql }) => ({ name, sql }));
  const found = new Set((await db.database.inSystem((sql) => findBreaches(sql, bare))).map(({ object }) => object));
  for (const { allowed } of INVARIANTS)
    for (const object of allowed?.keys() ?? []) assert.ok(found.has(object), object);
});
