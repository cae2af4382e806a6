-- Single sign-on by OpenID Connect: a tenant's own providers, and which of their subjects is which account.
create table oidc_providers (
  tenant_id uuid not null references tenants (tenant_id) on delete cascade,
  provider_id uuid not null,
  name text not null check (length(name) between 1 and 100),
  issuer text not null check (length(issuer) between 8 and 500),
  client_id text not null check (length(client_id) between 1 and 400),
  -- under the tenant's key; null: a public client, which PKCE alone protects
  client_secret_sealed bytea,
  groups_claim text not null check (length(groups_claim) between 1 and 100),
  -- [{"group": …, "role": …}, …], the first that holds decides
  role_by_group jsonb not null check (jsonb_typeof(role_by_group) = 'array'),
  -- of people in none of the groups; null: they are not let in
  default_role text check (default_role in ('admin', 'analyst', 'viewer', 'auditor', 'security')),
  -- shown to everybody who opens the login page
  is_listed boolean not null default false,
  created_at timestamptz(3) not null,
  created_by text not null,
  disabled_at timestamptz(3),
  primary key (tenant_id, provider_id)
);
-- hash: equality with a whole id alone, enforces nothing across tenants
create index oidc_providers_by_id on oidc_providers using hash (provider_id);
alter table oidc_providers enable row level security;
alter table oidc_providers force row level security;
create policy tenant_isolation on oidc_providers
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy oidc_provider_by_id on oidc_providers for select
  using (provider_id::text = nullif(current_setting('app.lookup', true), ''));
create policy oidc_provider_listed on oidc_providers for select
  using (is_listed and disabled_at is null and current_setting('app.lookup', true) = 'oidc_providers listed');
grant select, insert, delete on oidc_providers to lumatrace_app;
grant update (
  name, issuer, client_id, client_secret_sealed, groups_claim, role_by_group, default_role, is_listed, disabled_at
) on oidc_providers to lumatrace_app;

-- A subject is kept as an HMAC: what a provider calls somebody tells who that is.
create table oidc_identities (
  tenant_id uuid not null,
  provider_id uuid not null,
  subject_index text not null check (length(subject_index) = 43),
  account_id uuid not null references accounts (account_id) on delete cascade,
  created_at timestamptz(3) not null,
  last_login_at timestamptz(3) not null,
  primary key (tenant_id, provider_id, subject_index),
  foreign key (tenant_id, provider_id) references oidc_providers (tenant_id, provider_id) on delete cascade
);
create index oidc_identities_of_account on oidc_identities (tenant_id, account_id);
alter table oidc_identities enable row level security;
alter table oidc_identities force row level security;
create policy tenant_isolation on oidc_identities
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, delete on oidc_identities to lumatrace_app;
grant update (last_login_at) on oidc_identities to lumatrace_app;

-- Set: opened by that provider. Such a session is good in this tenant alone, and ends with the provider.
alter table sessions
  add column provider_id uuid,
  add foreign key (tenant_id, provider_id) references oidc_providers (tenant_id, provider_id) on delete cascade;
create index sessions_of_provider on sessions (tenant_id, provider_id) where provider_id is not null;
