-- Prices: which span stands for a call that several describe, the price table in use, the overrides of tenants, and
-- the runs that price stored spans again.

-- Null without a response id; else the first 64 bits of its SHA-256: spans with the same one describe one call.
alter table spans add column response_hash bigint;
-- Of a span that looks like a call and is not billed: the span that is billed for it. Its own price is kept in
-- cost_pico, billable is false.
alter table spans add column repeats_span_id bigint;
-- Why, a position in NOT_BILLED_REASONS of packages/telemetry/src/billing.ts.
alter table spans add column repeats_reason smallint;

-- What is billed is decided again when another span of the trace arrives; prices when somebody asks for it.
grant update (billable, repeats_span_id, repeats_reason, cost_pico, price_version) on spans to lumatrace_app;
grant update (sealed) on content_blocks to lumatrace_app;

-- Price tables that operators installed, for every tenant; the last one counts. None: the one of the release.
create table price_tables (
  table_id bigint generated always as identity primary key,
  source text not null,
  version text not null,
  -- of the file as it was given, lower-case hex
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  models int not null,
  -- the table in the shape of the release's, JSON, zstd
  compressed bytea not null,
  installed_at timestamptz not null default now(),
  -- the command or the setting that brought it
  installed_by text not null
);

alter table price_tables alter column compressed set storage external;

-- Every version of a tenant's overrides; the highest counts. Spans name the version that priced them.
create table price_overrides (
  tenant_id uuid not null references tenants,
  version int not null,
  overrides jsonb not null,
  created_at timestamptz not null default now(),
  created_by text not null,
  primary key (tenant_id, version)
);

-- Runs that price stored spans again. A run goes through the traces of its range by start and id; where it is, is here,
-- so that it goes on after a stop.
create table recosts (
  tenant_id uuid not null references tenants,
  recost_id uuid not null,
  state text not null check (state in ('queued', 'running', 'completed', 'cancelled', 'failed')),
  -- traces that begin in this range, nanoseconds since 1970
  from_ns bigint not null,
  until_ns bigint not null,
  price_version text not null,
  traces_total int not null,
  traces_done int not null default 0,
  spans_seen bigint not null default 0,
  spans_changed bigint not null default 0,
  unpriced_before bigint not null default 0,
  unpriced_after bigint not null default 0,
  -- 10^-12 US dollars
  old_pico numeric not null default 0,
  new_pico numeric not null default 0,
  -- the last trace that is done
  after_ns bigint,
  after_trace uuid,
  error text,
  created_by text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, recost_id)
);

-- One run of a tenant at a time: two would undo each other.
create unique index recosts_active on recosts (tenant_id) where state in ('queued', 'running');

alter table price_overrides enable row level security;
alter table price_overrides force row level security;
create policy tenant on price_overrides
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

alter table recosts enable row level security;
alter table recosts force row level security;
create policy tenant on recosts
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

grant select, insert on price_tables to lumatrace_app;
grant select, insert on price_overrides to lumatrace_app;
grant select, insert, update on recosts to lumatrace_app;
