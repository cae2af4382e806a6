-- What the program noticed about itself: holes in the isolation, a broken audit chain, bursts of refusals. The operator's,
-- so the role of the application has no right here. The first alert of a kind about something in an hour is the row.
create table security_alerts (
  kind text not null check (length(kind) between 1 and 60),
  -- what it is about: `tenant:<uuid>`, `key:<uuid>`, a source, or a table and what is wrong with it
  about text not null check (length(about) between 1 and 300),
  hour timestamptz not null,
  at timestamptz not null default now(),
  detail jsonb not null,
  primary key (kind, about, hour)
);
