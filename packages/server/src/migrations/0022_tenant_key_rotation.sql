-- Data keys of tenants rotate: active -> decrypt_only -> destroyed. What is derived (keys of the watermark, blind indexes) must
-- not change with that, so its root lies apart as version 0, and version 1 can be destroyed like every other.
alter table tenant_keys
  drop constraint tenant_keys_state_check,
  drop constraint tenant_keys_version_check,
  -- by all processes together, told a few times a minute
  add column seals bigint not null default 0 check (seals >= 0),
  add column superseded_at timestamptz,
  add column destroyed_at timestamptz;

update tenant_keys set state = 'decrypt_only', superseded_at = now() where state = 'retired';
update tenant_keys set wrapped = '', destroyed_at = now() where state = 'destroyed';

alter table tenant_keys
  add constraint tenant_keys_version_check check (version >= 0),
  add constraint tenant_keys_state_check check (state in ('root', 'active', 'decrypt_only', 'destroyed')),
  add constraint tenant_keys_root_check check (state = 'destroyed' or (state = 'root') = (version = 0)),
  -- destroyed is destroyed: nothing to unwrap is left
  add constraint tenant_keys_destroyed_check check ((state = 'destroyed') = (octet_length(wrapped) = 0)),
  add constraint tenant_keys_destroyed_at_check check ((state = 'destroyed') = (destroyed_at is not null));

-- How far sealing again has come: one row per place where sealed bytes lie.
create table tenant_reencryptions (
  tenant_id uuid not null references tenants,
  -- table.column
  place text not null,
  -- what everything is sealed with in the end
  version int not null check (version > 0),
  started_at timestamptz not null,
  -- key of the last row that was looked at in this pass; null: from the beginning
  after text[],
  rows_total bigint not null,
  rows_seen bigint not null default 0,
  rows_sealed bigint not null default 0,
  -- held by somebody else just then, or sealed with an old version again: the next pass takes them
  rows_left bigint not null default 0,
  -- the whole place was gone through
  done_at timestamptz,
  primary key (tenant_id, place)
);
alter table tenant_reencryptions enable row level security;
alter table tenant_reencryptions force row level security;
create policy tenant on tenant_reencryptions
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update, delete on tenant_reencryptions to lumatrace_app;

-- sealed again in place; nothing else of these rows ever changes
grant update (preview) on log_records to lumatrace_app;
grant update (device_model, location) on photos to lumatrace_app;
