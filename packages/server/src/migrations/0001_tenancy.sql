-- Tenants, their wrapped data keys, the audit log, and the mark of the key above all. The role lumatrace_app exists before the first migration runs.

grant usage on schema public to lumatrace_app;

create table tenants (
  tenant_id uuid primary key,
  name text not null check (length(name) between 1 and 200),
  created_at timestamptz not null default now(),
  -- days that telemetry is kept
  retention_class smallint not null default 7 check (retention_class in (1, 7, 30, 90, 365)),
  -- null: the limit of the installation
  traces_per_day int check (traces_per_day >= 0),
  requests_per_hour int check (requests_per_hour >= 0)
);

alter table tenants enable row level security;
alter table tenants force row level security;

create policy tenant on tenants
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

-- jobs of the installation go through all tenants; what is inside a tenant stays closed to the owner
create policy installation on tenants to current_user
  using (true)
  with check (true);

grant select, insert, update on tenants to lumatrace_app;

create table tenant_keys (
  tenant_id uuid not null references tenants,
  version int not null check (version > 0),
  -- the data key, wrapped by the key encryption key; useless without that
  wrapped bytea not null,
  state text not null check (state in ('active', 'retired', 'destroyed')),
  activated_at timestamptz not null default now(),
  primary key (tenant_id, version)
);

alter table tenant_keys enable row level security;
alter table tenant_keys force row level security;

create policy tenant on tenant_keys
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

-- a new key encryption key wraps every data key again
create policy installation on tenant_keys to current_user
  using (true)
  with check (true);

grant select, insert, update on tenant_keys to lumatrace_app;

create table audit (
  tenant_id uuid not null references tenants,
  seq bigint generated always as identity,
  at timestamptz not null default now(),
  actor text not null,
  action text not null,
  object text not null,
  outcome text not null,
  request_id text,
  detail jsonb,
  primary key (tenant_id, seq)
);

create index audit_at on audit (tenant_id, at desc);

alter table audit enable row level security;
alter table audit force row level security;

create policy tenant on audit
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

-- appended and read, never changed
grant select, insert on audit to lumatrace_app;

-- Tells a wrong key-encryption key at the start: an HMAC of a fixed text under it. The owner's alone.
create table kek_check (
  version int primary key check (version > 0),
  value bytea not null check (octet_length(value) = 32),
  created_at timestamptz not null default now()
);
