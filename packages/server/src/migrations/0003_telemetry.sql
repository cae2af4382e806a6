-- Telemetry: narrow spans that point into encrypted content, one summary per trace, rollups as appended deltas.

-- Money is whole pico-dollars; times are nanoseconds since 1970; ids are the 128 and 64 bits of the trace and span id.
create table spans (
  tenant_id       uuid not null,
  trace_id        uuid not null,
  span_id         bigint not null,
  day             date not null,
  retention_class smallint not null,
  -- SHA-256 of what was sent, its first 128 bits: tells a repetition from other content
  content_hash    uuid not null,
  parent_span_id  bigint,
  start_ns        bigint not null,
  end_ns          bigint not null,
  -- billable calls only; null when no price is known
  cost_pico       bigint,
  client_cost_pico bigint,
  input_tokens    bigint,
  output_tokens   bigint,
  cache_read_tokens bigint,
  cache_creation_tokens bigint,
  reasoning_tokens bigint,
  -- the row of the content block that holds the rest of the span
  block_id        uuid not null,
  block_index     integer not null,
  billable        boolean not null,
  status          smallint not null,
  kind            smallint not null,
  name            text not null,
  service         text not null,
  environment     text,
  operation       text,
  provider        text,
  model           text,
  user_id         text,
  session_id      text,
  error_type      text,
  price_version   text,
  primary key (tenant_id, trace_id, span_id, day, retention_class)
) partition by list (retention_class);

create index spans_by_start on spans (tenant_id, start_ns);

-- Messages, attributes, events and links of the spans of one export request: JSON, zstd, AES-256-GCM under the tenant's key.
create table content_blocks (
  tenant_id       uuid not null,
  block_id        uuid not null,
  day             date not null,
  retention_class smallint not null,
  sealed          bytea not null,
  primary key (tenant_id, block_id, day, retention_class)
) partition by list (retention_class);
alter table content_blocks alter column sealed set storage external;

create table spans_r1 partition of spans for values in (1) partition by range (day);
create table spans_r7 partition of spans for values in (7) partition by range (day);
create table spans_r30 partition of spans for values in (30) partition by range (day);
create table spans_r90 partition of spans for values in (90) partition by range (day);
create table spans_r365 partition of spans for values in (365) partition by range (day);
create table content_blocks_r1 partition of content_blocks for values in (1) partition by range (day);
create table content_blocks_r7 partition of content_blocks for values in (7) partition by range (day);
create table content_blocks_r30 partition of content_blocks for values in (30) partition by range (day);
create table content_blocks_r90 partition of content_blocks for values in (90) partition by range (day);
create table content_blocks_r365 partition of content_blocks for values in (365) partition by range (day);

-- One row per trace, so that lists open neither spans nor content. `head` is the root, or the earliest span until a root
-- comes; `llm` is the earliest call of a model. Previews are sealed under the tenant's key.
create table traces (
  tenant_id       uuid not null references tenants (tenant_id),
  trace_id        uuid not null,
  retention_class smallint not null,
  first_day       date not null,
  last_day        date not null,
  first_start_ns  bigint not null,
  last_end_ns     bigint not null,
  span_count      integer not null,
  error_count     integer not null,
  ok_count        integer not null,
  billable_count  integer not null,
  unpriced_count  integer not null,
  cost_pico       bigint not null,
  input_tokens    bigint not null,
  output_tokens   bigint not null,
  -- 0 for a root, 1 for a span whose parent is elsewhere
  head_rank       smallint not null,
  head_start_ns   bigint not null,
  head_span_id    bigint not null,
  head_parent_id  bigint,
  head_name       text not null,
  head_service    text not null,
  head_model      text,
  head_provider   text,
  head_preview    bytea,
  llm_start_ns    bigint,
  llm_model       text,
  llm_provider    text,
  llm_preview     bytea,
  environment     text,
  user_id         text,
  session_id      text,
  tags            text[] not null default '{}',
  received_at     timestamptz not null default now(),
  primary key (tenant_id, trace_id)
) with (fillfactor = 80);
alter table traces alter column head_preview set storage external;
alter table traces alter column llm_preview set storage external;

create index traces_by_start on traces (tenant_id, first_start_ns desc, trace_id desc);

-- Deltas, added up when read and merged by a job; a replaced span appends what it takes back.
create table rollups (
  tenant_id      uuid not null references tenants (tenant_id),
  minute         timestamptz not null,
  service        text not null,
  model          text not null,
  provider       text not null,
  operation      text not null,
  environment    text not null,
  status         smallint not null,
  billable       boolean not null,
  span_count     bigint not null,
  root_count     bigint not null,
  unpriced_count bigint not null,
  cost_pico      numeric not null,
  input_tokens   bigint not null,
  output_tokens  bigint not null,
  latency_ns     numeric not null,
  -- DDSketch of latency in milliseconds: ascending buckets and their counts; zeros apart
  sketch_zeros   bigint not null,
  sketch_buckets integer[] not null,
  sketch_counts  bigint[] not null
);

create index rollups_by_minute on rollups (tenant_id, minute);

create table usage (
  tenant_id uuid not null references tenants (tenant_id),
  day       date not null,
  traces    bigint not null,
  spans     bigint not null,
  bytes     bigint not null,
  primary key (tenant_id, day)
);

alter table spans enable row level security;
alter table spans force row level security;
alter table content_blocks enable row level security;
alter table content_blocks force row level security;
alter table traces enable row level security;
alter table traces force row level security;
alter table rollups enable row level security;
alter table rollups force row level security;
alter table usage enable row level security;
alter table usage force row level security;

create policy tenant on spans
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy tenant on content_blocks
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy tenant on traces
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy tenant on rollups
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy tenant on usage
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

grant select, insert, delete on spans, content_blocks, rollups to lumatrace_app;
grant select, insert, update, delete on traces to lumatrace_app;
grant select, insert, update on usage to lumatrace_app;

-- A partition reached by its own name has no policy of its own; the app role may reach the parents only, and these
-- flags keep even the owner from reading a partition directly.
do $$
declare
  partition regclass;
begin
  for partition in
    select inhrelid::regclass from pg_inherits where inhparent in ('spans'::regclass, 'content_blocks'::regclass)
  loop
    execute format('alter table %s enable row level security', partition);
    execute format('alter table %s force row level security', partition);
    execute format(
      'create policy tenant on %s using (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)'
        ' with check (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)',
      partition
    );
  end loop;
end
$$;
