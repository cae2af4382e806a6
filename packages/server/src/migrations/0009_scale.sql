-- Charts at any size: rollups in three tiers and one dimension per cell, counted to the minute in which a trace begins.
-- A chart of thirty days reads thirty rows per value instead of every span; a bar of it is the sum of the traces that
-- began in it, which is what the list with the same range shows.

drop table rollups;

-- Appended deltas, merged later; what is replaced or moves is taken back by negative deltas.
create table rollups (
  tenant_id uuid not null,
  -- 0 minute, 1 hour, 2 day, 3 week
  tier smallint not null,
  -- storage/postgres/rollups.ts, DIMENSIONS
  dimension smallint not null,
  -- minutes, hours, days or weeks of seven days since 1970, of the start of the trace
  slot int not null,
  seq bigint generated always as identity,
  -- empty: none
  key text not null,
  traces bigint not null,
  unpriced_traces bigint not null,
  spans bigint not null,
  errors bigint not null,
  billable bigint not null,
  unpriced bigint not null,
  -- 10^-12 US dollars
  cost_pico numeric not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  -- of traces, or of model calls, by the dimension: sum in nanoseconds, and a DDSketch in milliseconds
  latency_ns numeric not null,
  latency_zeros int not null,
  latency_buckets smallint[] not null,
  latency_counts int[] not null,
  primary key (tenant_id, tier, dimension, slot, seq)
);

alter table rollups enable row level security;
alter table rollups force row level security;
create policy tenant on rollups
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, delete on rollups to lumatrace_app;

-- Charts no longer read spans, so the second index of the largest table goes.
drop index spans_billable;

-- Models and services of billable spans without a price, sorted; '' is a span without such a name.
alter table traces
  add column unpriced_models text[] not null default '{}',
  add column unpriced_services text[] not null default '{}';

-- What is already there is counted anew. The owner, too, is bound by row level security: lifted until the commit.
alter table spans no force row level security;
alter table traces no force row level security;
alter table rollups no force row level security;

update traces
set
  unpriced_models = named.models,
  unpriced_services = named.services
from (
  select
    tenant_id, trace_id,
    array_agg(distinct coalesce(model, '') order by coalesce(model, '')) as models,
    array_agg(distinct service order by service) as services
  from spans
  where billable and cost_pico is null
  group by tenant_id, trace_id
) as named
where traces.tenant_id = named.tenant_id and traces.trace_id = named.trace_id;

with counted as (
  -- whole traces
  select
    tenant_id, dimension, key, start_ns, 1 as traces, (unpriced_count > 0)::int as unpriced_traces,
    span_count as spans, error_count as errors, billable_count as billable, unpriced_count as unpriced,
    cost_pico, input_tokens, output_tokens, end_ns - start_ns as latency_ns
  from traces
  cross join lateral (
    values
      (0, ''), (1, service), (2, endpoint), (3, coalesce(environment, '')), (4, coalesce(user_id, '')),
      (5, status::text)
  ) as of_trace (dimension, key)
  union all
  -- in how many traces a service or a model occurs
  select tenant_id, 7, key, start_ns, 1, (key = any (unpriced_services))::int, 0, 0, 0, 0, 0, 0, 0, null
  from traces
  cross join lateral unnest(services) as key
  union all
  select tenant_id, 8, key, start_ns, 1, (key = any (unpriced_models))::int, 0, 0, 0, 0, 0, 0, 0, null
  from traces
  cross join lateral unnest(models) as key
  union all
  select tenant_id, 8, '', start_ns, 1, 1, 0, 0, 0, 0, 0, 0, 0, null
  from traces
  where '' = any (unpriced_models)
  union all
  select tenant_id, 10, key, start_ns, 1, 0, 0, 0, 0, 0, 0, 0, 0, null
  from traces
  cross join lateral unnest(tags) as key
  union all
  -- spans, at the start of their trace
  select
    s.tenant_id, dimension, key, t.start_ns, 0, 0,
    1, (s.status = 2)::int, s.billable::int, (s.billable and s.cost_pico is null)::int,
    case when s.billable then coalesce(s.cost_pico, 0) else 0 end,
    case when s.billable then coalesce(s.input_tokens, 0) else 0 end,
    case when s.billable then coalesce(s.output_tokens, 0) else 0 end,
    case
      when coalesce(s.model, '') <> ''
        and coalesce(s.operation, '') in ('', 'chat', 'generate_content', 'text_completion', 'embeddings')
      then s.end_ns - s.start_ns
    end
  from spans s
  join traces t on t.tenant_id = s.tenant_id and t.trace_id = s.trace_id
  cross join lateral (
    values (6, ''), (7, s.service), (8, coalesce(s.model, '')), (9, s.status::text)
  ) as of_span (dimension, key)
), placed as (
  select
    counted.*, tier, (start_ns / length_ns)::int as slot,
    -- the bucket of telemetry's sketch.ts: 1 % relative error
    case when latency_ns > 0 then ceil(ln(latency_ns / 1e6::float8) / ln(1.01::float8 / 0.99))::smallint end as bucket
  from counted
  cross join (
    values (0::smallint, 60000000000), (1::smallint, 3600000000000), (2::smallint, 86400000000000),
      (3::smallint, 604800000000000)
  ) as tiers (tier, length_ns)
  where case when dimension in (4, 10) then tier >= 2 else tier <= 2 end
), cell as (
  select
    tenant_id, tier, dimension, slot, key,
    sum(traces) as traces, sum(unpriced_traces) as unpriced_traces, sum(spans) as spans, sum(errors) as errors,
    sum(billable) as billable, sum(unpriced) as unpriced, sum(cost_pico) as cost_pico,
    sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens,
    coalesce(sum(latency_ns), 0) as latency_ns, count(*) filter (where latency_ns <= 0) as latency_zeros
  from placed
  group by tenant_id, tier, dimension, slot, key
), filled as (
  select tenant_id, tier, dimension, slot, key, bucket, count(*)::int as count
  from placed
  where bucket is not null
  group by tenant_id, tier, dimension, slot, key, bucket
), sketch as (
  select
    tenant_id, tier, dimension, slot, key,
    array_agg(bucket order by bucket) as buckets, array_agg(count order by bucket) as counts
  from filled
  group by tenant_id, tier, dimension, slot, key
)
insert into rollups (
  tenant_id, tier, dimension, slot, key, traces, unpriced_traces, spans, errors, billable, unpriced, cost_pico,
  input_tokens, output_tokens, latency_ns, latency_zeros, latency_buckets, latency_counts
)
select
  tenant_id, tier, dimension, slot, key, traces, unpriced_traces, spans, errors, billable, unpriced, cost_pico,
  input_tokens, output_tokens, latency_ns, latency_zeros, coalesce(buckets, '{}'), coalesce(counts, '{}')
from cell
left join sketch using (tenant_id, tier, dimension, slot, key);

alter table spans force row level security;
alter table traces force row level security;
alter table rollups force row level security;

-- Lists of one person or one conversation, however rare they are. The time is an expression: see timeOf in trace-list.ts.
create index traces_of_user on traces (tenant_id, user_id, (start_ns + 0), trace_id) where user_id is not null;
create index traces_of_session on traces (tenant_id, session_id, (start_ns + 0), trace_id) where session_id is not null;
