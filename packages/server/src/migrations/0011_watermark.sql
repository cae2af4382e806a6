-- Pixels carry a 64-bit id now. Its keys are of the tenant (payload) and of the installation (sync), both versioned.

-- Which versions of a tenant's payload key mark and read. The key itself is derived from the tenant's data key: destroying
-- that one destroys these.
create table watermark_keys (
  tenant_id    uuid not null references tenants (tenant_id),
  version      integer not null check (version > 0),
  -- one marks; those that are reading still find what they marked; retired ones find nothing any more
  state        text not null check (state in ('active', 'reading', 'retired')),
  activated_at timestamptz(3) not null default clock_timestamp(),
  retired_at   timestamptz(3),
  primary key (tenant_id, version),
  check ((state = 'retired') = (retired_at is not null))
);
create unique index watermark_keys_active on watermark_keys (tenant_id) where state = 'active';

alter table watermark_keys enable row level security;
alter table watermark_keys force row level security;
create policy watermark_keys_of_tenant on watermark_keys
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on watermark_keys to lumatrace_app;

-- pictures of the first engine have no id: their marks cannot be read any more, their credentials can
alter table protections
  drop column mark_key,
  add column watermark_id bigint,
  add column watermark_sync_version integer,
  add column watermark_payload_version integer,
  add check ((watermark_id is null) = (watermark_sync_version is null)),
  add check ((watermark_id is null) = (watermark_payload_version is null));
-- random, and still no two photos of one tenant may share one
create unique index protections_by_watermark on protections (tenant_id, watermark_id);
