-- What a tenant wants taken out before anything is stored: every version of its rules, and how often each rule found something.

create table redaction_rules (
  tenant_id uuid not null references tenants (tenant_id) on delete cascade,
  -- counts from 1; before it the rules of the release hold
  version int not null check (version > 0),
  -- RedactionRules of the telemetry package, without its version
  rules jsonb not null,
  changed_at timestamptz not null default now(),
  changed_by text not null,
  primary key (tenant_id, version)
);

create table redaction_hits (
  tenant_id uuid not null references tenants (tenant_id) on delete cascade,
  -- UTC day of arrival
  day date not null,
  rule_id text not null,
  hits bigint not null,
  primary key (tenant_id, day, rule_id)
);

alter table redaction_rules enable row level security;
alter table redaction_rules force row level security;
create policy redaction_rules_tenant on redaction_rules
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

alter table redaction_hits enable row level security;
alter table redaction_hits force row level security;
create policy redaction_hits_tenant on redaction_hits
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

-- Versions are evidence: never changed.
grant select, insert on redaction_rules to lumatrace_app;
grant select, insert, update, delete on redaction_hits to lumatrace_app;
