-- A person in several tenants: which one was used last, names of the own ones, invitations, and people whom a tenant's own
-- single sign-on made.

-- Set: an identity provider of that tenant vouches for this person, who is nobody outside of it. The blind index of the address
-- is then of the tenant and the address, so that no provider can pass somebody off as, or keep an address from, a person elsewhere.
alter table accounts add column managed_by uuid references tenants;
-- a hint for the next login; the membership decides
alter table accounts add column last_tenant_id uuid;
grant update (last_tenant_id) on accounts to lumatrace_app;
-- Somebody who was removed is still known to the tenant that made the account.
create policy account_managed on accounts for select
  using (managed_by = nullif(current_setting('app.tenant', true), '')::uuid);

-- The inner select runs under the policies of memberships: it sees those of the transaction's account only.
create policy tenant_of_account on tenants for select
  using (
    nullif(current_setting('app.account', true), '') is not null
    and exists (
      select 1
      from memberships m
      where m.tenant_id = tenants.tenant_id and m.account_id = nullif(current_setting('app.account', true), '')::uuid
    )
  );

-- A person sees and ends the own sessions in every tenant.
create policy session_of_account on sessions for select
  using (account_id = nullif(current_setting('app.account', true), '')::uuid);
create policy session_ended_by_account on sessions for delete
  using (account_id = nullif(current_setting('app.account', true), '')::uuid);
create index sessions_everywhere_of_account on sessions using hash (account_id);

-- An invitation is a link with 256 random bits, of which the row keeps the SHA-256; the address is sealed under the tenant's key.
create table invitations (
  tenant_id uuid not null references tenants (tenant_id) on delete cascade,
  invitation_id uuid not null,
  email_sealed bytea not null,
  role text not null check (role in ('owner', 'admin', 'analyst', 'viewer', 'auditor', 'security')),
  token_hash text not null check (length(token_hash) = 64),
  created_at timestamptz(3) not null,
  created_by text not null,
  expires_at timestamptz(3) not null,
  accepted_at timestamptz(3),
  accepted_by uuid,
  revoked_at timestamptz(3),
  primary key (tenant_id, invitation_id),
  check (accepted_at is null or revoked_at is null),
  check ((accepted_at is null) = (accepted_by is null))
);
create index invitations_by_token on invitations using hash (token_hash);
alter table invitations enable row level security;
alter table invitations force row level security;
create policy tenant_isolation on invitations
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy invitation_by_token on invitations for select
  using (token_hash = nullif(current_setting('app.lookup', true), ''));
grant select, insert, delete on invitations to lumatrace_app;
grant update (email_sealed, accepted_at, accepted_by, revoked_at) on invitations to lumatrace_app;
