-- A tenant that was erased: its keys at once, its rows by a job, and what was signed about it. The rows of `tenants`, of its
-- keys (without bytes), of its audit chain and of its public log stay: they say that it was, and hold none of its content.
create table tenant_erasures (
  tenant_id uuid primary key references tenants,
  -- whoever knows it may read the certificate: by then nobody can log in to the tenant any more
  erasure_id uuid not null,
  requested_at timestamptz(3) not null default clock_timestamp(),
  key_versions int[] not null,
  -- table -> rows
  removed jsonb not null default '{}',
  finished_at timestamptz(3),
  certificate text,
  check ((finished_at is null) = (certificate is null))
);
create index tenant_erasures_by_id on tenant_erasures using hash (erasure_id);
alter table tenant_erasures enable row level security;
alter table tenant_erasures force row level security;
create policy tenant on tenant_erasures
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy erasure_by_id on tenant_erasures for select
  using (erasure_id::text = nullif(current_setting('app.lookup', true), ''));
-- the job goes through all that are not finished
create policy installation on tenant_erasures to current_user
  using (true)
  with check (true);
grant select on tenant_erasures to lumatrace_app;
