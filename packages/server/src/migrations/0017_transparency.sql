-- The transparency log: an append-only Merkle tree over what was registered, protected and revoked.
-- A story writes its entry in its own transaction; only committed entries get a place, by one sequencer at a time.

-- What a leaf is the hash of: its tenant's alone. A nonce in the text keeps the public hash from being tried out.
create table log_entries (
  tenant_id uuid not null references tenants (tenant_id),
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  -- `photo:<uuid>` and the like
  object    text not null check (length(object) between 1 and 200),
  -- the leaf's bytes: JSON as it was written
  entry     text not null check (length(entry) between 2 and 16384),
  logged_at timestamptz(3) not null default clock_timestamp(),
  primary key (tenant_id, leaf_hash)
);
create index log_entries_by_object on log_entries (tenant_id, object, logged_at desc);
alter table log_entries enable row level security;
alter table log_entries force row level security;
create policy log_entries_of_tenant on log_entries
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on log_entries to lumatrace_app;

-- Leaves without a place. A row goes when its leaf comes, in one transaction.
create table log_pending (
  seq       bigint generated always as identity primary key,
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32)
);
grant insert on log_pending to lumatrace_app;

-- Public: nothing but hashes and their places, from 0 without gaps.
create table log_leaves (
  leaf_index bigint primary key check (leaf_index >= 0),
  leaf_hash  bytea not null unique check (octet_length(leaf_hash) = 32)
);
-- Completed subtrees of every fourth level: place × 2^level is the first leaf below.
create table log_subtrees (
  level smallint not null check (level > 0),
  place bigint not null check (place >= 0),
  hash  bytea not null check (octet_length(hash) = 32),
  primary key (level, place)
);
-- What was signed, each size once.
create table log_checkpoints (
  tree_size bigint primary key check (tree_size >= 0),
  root      bytea not null check (octet_length(root) = 32),
  note      text not null,
  signed_at timestamptz(3) not null default clock_timestamp()
);
-- The key that signs checkpoints: one for the life of the log, which is named after it.
create table log_key (
  only_one        boolean primary key default true check (only_one),
  public_spki     bytea not null,
  -- as only the signer process can open it
  wrapped_private bytea not null,
  created_at      timestamptz(3) not null default clock_timestamp()
);
grant select on log_leaves, log_subtrees, log_checkpoints to lumatrace_app;

create function refuse_change_of_log() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
  raise exception 'The transparency log is only appended to: % of % is refused.', tg_op, tg_table_name
    using errcode = 'insufficient_privilege';
end
$$;
create trigger append_only before update or delete or truncate on log_leaves
  for each statement execute function refuse_change_of_log();
create trigger append_only before update or delete or truncate on log_subtrees
  for each statement execute function refuse_change_of_log();
create trigger append_only before update or delete or truncate on log_checkpoints
  for each statement execute function refuse_change_of_log();
-- entries may be erased with their tenant; the hash stays in the tree
create trigger never_changed before update or truncate on log_entries
  for each statement execute function refuse_change_of_log();
