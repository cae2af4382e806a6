-- Roots that a tenant believes about signers besides those of the installation: they count in its own verifications only.
create table tenant_trust_anchors (
  tenant_id       uuid not null references tenants (tenant_id),
  -- of the DER certificate
  sha256          bytea not null check (octet_length(sha256) = 32),
  certificate_pem text not null check (length(certificate_pem) between 1 and 16384),
  subject         text not null check (length(subject) <= 400),
  expires_at      timestamptz not null,
  added_at        timestamptz(3) not null default clock_timestamp(),
  added_by        text not null,
  primary key (tenant_id, sha256)
);
alter table tenant_trust_anchors enable row level security;
alter table tenant_trust_anchors force row level security;
create policy tenant_trust_anchors_of_tenant on tenant_trust_anchors
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, delete on tenant_trust_anchors to lumatrace_app;
