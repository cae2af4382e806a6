-- The signals beside spans: log records (content of spans that was sent as events, scores, plain records) and the data
-- points of GenAI metrics. Partitioned and kept as spans are: by retention class and UTC day, dropped whole.

create table log_records (
  tenant_id uuid not null,
  -- UTC day of time_ns
  day date not null,
  -- 128 bits of HMAC-SHA-256 over what was sent: the same again has no effect
  record_id uuid not null,
  retention_class smallint not null,
  -- null: the record belongs to no trace
  trace_id uuid,
  span_id bigint,
  -- nanoseconds since 1970
  time_ns bigint not null,
  -- opentelemetry-proto, SeverityNumber; 0 unspecified
  severity smallint not null,
  service text not null,
  -- empty: a plain record
  event_name text not null,
  block_id uuid not null,
  block_day date not null,
  -- position in the block
  block_index int not null,
  -- of a record that holds what its span asked or was answered, for lists: JSON, AES-256-GCM under the preview key
  preview bytea,
  primary key (tenant_id, day, record_id, retention_class)
) partition by list (retention_class);

alter table log_records alter column preview set storage external;

create index log_records_trace on log_records (tenant_id, trace_id, time_ns) where trace_id is not null;

create table log_records_1 partition of log_records for values in (1) partition by range (day);
create table log_records_7 partition of log_records for values in (7) partition by range (day);
create table log_records_30 partition of log_records for values in (30) partition by range (day);
create table log_records_90 partition of log_records for values in (90) partition by range (day);
create table log_records_365 partition of log_records for values in (365) partition by range (day);

-- What somebody found a span, or a whole trace, to be worth. It may come before its trace.
create table scores (
  tenant_id uuid not null,
  trace_id uuid not null,
  -- 0: the trace as a whole (no span has this id)
  span_id bigint not null,
  name text not null,
  source text not null check (source in ('sdk', 'api', 'evaluator')),
  score_id uuid not null,
  -- nanoseconds since 1970
  time_ns bigint not null,
  value double precision,
  label text,
  -- of what was sent: the same again has no effect, a later one replaces
  content_hash bigint not null,
  -- explanation and further attributes, JSON, AES-256-GCM under the tenant's column key
  sealed bytea not null,
  -- first UTC day on which it is no longer kept
  expires date not null,
  primary key (tenant_id, trace_id, span_id, name, source)
);

create index scores_expiring on scores (tenant_id, expires);

-- One metric of one source with one set of attributes.
create table metric_series (
  tenant_id uuid not null,
  -- 128 bits of SHA-256 over everything that identifies the series
  series_id uuid not null,
  name text not null,
  unit text not null,
  description text not null,
  kind text not null check (kind in ('gauge', 'sum', 'histogram', 'exponential_histogram', 'summary')),
  temporality text not null check (temporality in ('unspecified', 'delta', 'cumulative')),
  monotonic boolean not null,
  service text not null,
  environment text,
  attributes jsonb not null,
  first_day date not null,
  last_day date not null,
  primary key (tenant_id, series_id)
);

create index metric_series_name on metric_series (tenant_id, name);

create table metric_points (
  tenant_id uuid not null,
  -- UTC day of time_ns
  day date not null,
  series_id uuid not null,
  time_ns bigint not null,
  retention_class smallint not null,
  start_ns bigint not null,
  -- of a gauge or sum
  value double precision,
  -- of histograms and summaries
  count double precision,
  sum double precision,
  min double precision,
  max double precision,
  -- buckets or quantiles, as telemetry's DataPoint has them
  shape jsonb,
  primary key (tenant_id, day, series_id, time_ns, retention_class)
) partition by list (retention_class);

create table metric_points_1 partition of metric_points for values in (1) partition by range (day);
create table metric_points_7 partition of metric_points for values in (7) partition by range (day);
create table metric_points_30 partition of metric_points for values in (30) partition by range (day);
create table metric_points_90 partition of metric_points for values in (90) partition by range (day);
create table metric_points_365 partition of metric_points for values in (365) partition by range (day);

-- Their daily quotas count where that of traces does.
alter table usage
  add column log_records bigint not null default 0,
  add column metric_points bigint not null default 0;

alter table log_records enable row level security;
alter table log_records force row level security;
create policy tenant on log_records
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

alter table scores enable row level security;
alter table scores force row level security;
create policy tenant on scores
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

alter table metric_series enable row level security;
alter table metric_series force row level security;
create policy tenant on metric_series
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

alter table metric_points enable row level security;
alter table metric_points force row level security;
create policy tenant on metric_points
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

grant select, insert, delete on log_records to lumatrace_app;
grant select, insert, update, delete on scores to lumatrace_app;
grant select, insert, update, delete on metric_series to lumatrace_app;
grant select, insert, update, delete on metric_points to lumatrace_app;
