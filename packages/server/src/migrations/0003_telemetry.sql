-- Telemetry: narrow spans that point into encrypted content blocks, one summary per trace, rollups and daily usage.
-- spans and content_blocks are partitioned by retention class and UTC day; the day partitions are made ahead by the
-- program, named PARENT_CLASS_YYYYMMDD, and dropped whole when they expire. Hot tables carry no foreign key to tenants: its
-- check per row costs as much as the row; usage, written in the same transaction, carries it for all of them.

create table spans (
  tenant_id uuid not null,
  -- UTC day of start_ns
  day date not null,
  -- 128 bits as OTLP sends them; no RFC 9562 meaning
  trace_id uuid not null,
  -- 64 bits read as a signed integer
  span_id bigint not null,
  retention_class smallint not null,
  parent_span_id bigint,
  -- nanoseconds since 1970
  start_ns bigint not null,
  end_ns bigint not null,
  -- first 64 bits of SHA-256 over what was sent: the same again has no effect, other content replaces
  content_hash bigint not null,
  block_id uuid not null,
  block_day date not null,
  -- position in the block
  block_index int not null,
  -- 10^-12 US dollars; null in a billable span: unpriced
  cost_pico bigint,
  client_cost_pico bigint,
  input_tokens bigint,
  output_tokens bigint,
  cache_read_tokens bigint,
  cache_creation_tokens bigint,
  reasoning_tokens bigint,
  -- 0 unset, 1 ok, 2 error (opentelemetry-proto, Status.StatusCode)
  status smallint not null,
  -- opentelemetry-proto, Span.SpanKind
  kind smallint not null,
  billable boolean not null,
  name text not null,
  service text not null,
  environment text,
  endpoint text,
  operation text,
  provider text,
  model text,
  price_version text,
  user_id text,
  session_id text,
  error_type text,
  primary key (tenant_id, day, trace_id, span_id, retention_class)
) partition by list (retention_class);

-- Charts over model calls by time; a tool or retrieval span costs this index nothing.
create index spans_billable on spans (tenant_id, start_ns, trace_id)
  include (end_ns, cost_pico, model, service, environment)
  where billable;

create table content_blocks (
  tenant_id uuid not null,
  -- day of the latest span inside, so that a block never expires before its spans
  day date not null,
  block_id uuid not null,
  retention_class smallint not null,
  -- JSON, zstd, AES-256-GCM under the tenant's content key
  sealed bytea not null,
  primary key (tenant_id, day, block_id, retention_class)
) partition by list (retention_class);

-- The bytes are compressed and encrypted already: pglz would only cost time.
alter table content_blocks alter column sealed set storage external;

create table spans_1 partition of spans for values in (1) partition by range (day);
create table spans_7 partition of spans for values in (7) partition by range (day);
create table spans_30 partition of spans for values in (30) partition by range (day);
create table spans_90 partition of spans for values in (90) partition by range (day);
create table spans_365 partition of spans for values in (365) partition by range (day);

create table content_blocks_1 partition of content_blocks for values in (1) partition by range (day);
create table content_blocks_7 partition of content_blocks for values in (7) partition by range (day);
create table content_blocks_30 partition of content_blocks for values in (30) partition by range (day);
create table content_blocks_90 partition of content_blocks for values in (90) partition by range (day);
create table content_blocks_365 partition of content_blocks for values in (365) partition by range (day);

-- One row per trace, written with its spans: lists and most charts read only this.
create table traces (
  tenant_id uuid not null,
  trace_id uuid not null,
  -- the longest class of its spans
  retention_class smallint not null,
  start_ns bigint not null,
  end_ns bigint not null,
  span_count int not null,
  billable_count int not null,
  unpriced_count int not null,
  error_count int not null,
  -- sum of the priced spans
  cost_pico numeric not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  status smallint not null,
  -- of the root, or of the earliest span until a root comes
  span_id bigint not null,
  parent_span_id bigint,
  name text not null,
  service text not null,
  environment text,
  endpoint text not null,
  -- the root's, else the first model call's
  model text,
  provider text,
  user_id text,
  session_id text,
  -- of all spans, sorted
  services text[] not null,
  models text[] not null,
  tags text[] not null,
  -- days on which its spans lie
  days date[] not null,
  -- previews, metadata and what later spans are compared with; JSON, AES-256-GCM under the tenant's preview key
  sealed bytea not null,
  primary key (tenant_id, trace_id)
) with (fillfactor = 85);

alter table traces alter column sealed set storage external;

create index traces_started on traces (tenant_id, start_ns, trace_id);

-- Appended deltas per minute and few dimensions, merged later; what is replaced is taken back by negative deltas.
create table rollups (
  tenant_id uuid not null,
  -- minutes since 1970, of start_ns
  minute int not null,
  seq bigint generated always as identity,
  service text not null,
  -- empty: none
  model text not null,
  provider text not null,
  operation text not null,
  environment text not null,
  status smallint not null,
  spans bigint not null,
  billable bigint not null,
  unpriced bigint not null,
  cost_pico numeric not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  -- DDSketch of latency in milliseconds: filled buckets in ascending order, and zeros
  latency_zeros int not null,
  latency_buckets smallint[] not null,
  latency_counts int[] not null,
  primary key (tenant_id, minute, seq)
);

-- What a tenant sent on a UTC day of arrival; the daily quota counts here.
create table usage (
  tenant_id uuid not null references tenants,
  day date not null,
  traces bigint not null,
  spans bigint not null,
  duplicates bigint not null,
  replaced bigint not null,
  -- after decompression
  bytes bigint not null,
  primary key (tenant_id, day)
) with (fillfactor = 50);

alter table spans enable row level security;
alter table spans force row level security;
create policy tenant on spans
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

alter table content_blocks enable row level security;
alter table content_blocks force row level security;
create policy tenant on content_blocks
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

alter table traces enable row level security;
alter table traces force row level security;
create policy tenant on traces
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

alter table rollups enable row level security;
alter table rollups force row level security;
create policy tenant on rollups
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

alter table usage enable row level security;
alter table usage force row level security;
create policy tenant on usage
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

grant select, insert, delete on spans to lumatrace_app;
grant select, insert, delete on content_blocks to lumatrace_app;
grant select, insert, update, delete on traces to lumatrace_app;
grant select, insert, delete on rollups to lumatrace_app;
grant select, insert, update, delete on usage to lumatrace_app;
