-- The span that made a picture, within its trace; and the way from a trace to its pictures.
alter table photos
  add column span_id text check (span_id ~ '^[0-9a-f]{16}$'),
  add constraint photos_span_in_trace check (span_id is null or trace_id is not null);

create index photos_by_trace on photos (tenant_id, trace_id) where trace_id is not null;
