-- Who may ask: people, their memberships and sessions, API keys, service accounts, token keys, counters.
-- Rows that are needed before the tenant is known (a key's hash, a session's hash, a name at login) have a look-up
-- policy: a transaction sees such a row only when it already knows the exact value. Their indexes are hash indexes:
-- they answer equality alone, enforce nothing across tenants and so tell nothing about another tenant.

-- The one row that says that the first start is complete, and for which tenant.
create table installation (
  only_one boolean primary key default true check (only_one),
  tenant_id uuid not null,
  created_at timestamptz not null default now()
);
alter table installation enable row level security;
alter table installation force row level security;
-- The row names no secret; whoever starts the program must be able to ask whether it was started before.
create policy installation_is_known on installation for select using (true);
create policy installation_is_made_once on installation for insert
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on installation to lumatrace_app;

-- Random secrets of the installation (API-key pepper, session and cursor keys), each wrapped by the KEK.
create table installation_keys (
  name text not null,
  version integer not null check (version > 0),
  wrapped bytea not null,
  created_at timestamptz not null default now(),
  primary key (name, version)
);

-- Token signing keys: the public half, and the private half as only the signer process can open it.
create table signing_keys (
  kid text primary key,
  alg text not null,
  public_jwk jsonb not null,
  wrapped_private bytea not null,
  state text not null check (state in ('next', 'active', 'retiring', 'retired', 'compromised')),
  created_at timestamptz not null default now(),
  activated_at timestamptz,
  retired_at timestamptz
);
create unique index signing_keys_one_active on signing_keys (state) where state = 'active';

-- A person. Accounts belong to no tenant; memberships tie them to tenants.
create table accounts (
  account_id uuid primary key,
  email text not null unique check (email = lower(email) and length(email) between 3 and 254),
  name text not null check (length(name) <= 200),
  must_change_password boolean not null default false,
  created_at timestamptz not null default now(),
  last_login_at timestamptz
);

create table account_passwords (
  account_id uuid primary key references accounts (account_id) on delete cascade,
  argon2id text not null,
  changed_at timestamptz not null default now()
);

create table memberships (
  tenant_id uuid not null references tenants (tenant_id) on delete cascade,
  account_id uuid not null references accounts (account_id) on delete cascade,
  role text not null check (role in ('owner', 'admin', 'analyst', 'viewer', 'auditor', 'security')),
  created_at timestamptz not null default now(),
  primary key (tenant_id, account_id)
);
create index memberships_of_account on memberships using hash (account_id);

alter table accounts enable row level security;
alter table accounts force row level security;
create policy account_itself on accounts
  using (account_id = nullif(current_setting('app.account', true), '')::uuid)
  with check (account_id = nullif(current_setting('app.account', true), '')::uuid);
create policy account_by_email on accounts for select
  using (email = nullif(current_setting('app.lookup', true), ''));
-- The inner select runs under the policies of memberships: it sees the members of the transaction's tenant only.
create policy account_of_tenant on accounts for select
  using (
    nullif(current_setting('app.tenant', true), '') is not null
    and exists (select 1 from memberships m where m.account_id = accounts.account_id)
  );
grant select, insert on accounts to lumatrace_app;
grant update (name, must_change_password, last_login_at) on accounts to lumatrace_app;

alter table account_passwords enable row level security;
alter table account_passwords force row level security;
create policy account_itself on account_passwords
  using (account_id = nullif(current_setting('app.account', true), '')::uuid)
  with check (account_id = nullif(current_setting('app.account', true), '')::uuid);
grant select, insert, update on account_passwords to lumatrace_app;

alter table memberships enable row level security;
alter table memberships force row level security;
create policy tenant_isolation on memberships
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy membership_of_account on memberships for select
  using (account_id = nullif(current_setting('app.account', true), '')::uuid);
grant select, insert, update, delete on memberships to lumatrace_app;

-- Sessions of people: the cookie is 256 random bits, the row holds its HMAC-SHA-256 only.
create table sessions (
  tenant_id uuid not null,
  session_hash text not null,
  account_id uuid not null,
  created_at timestamptz not null,
  last_seen_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (tenant_id, session_hash),
  foreign key (tenant_id, account_id) references memberships (tenant_id, account_id) on delete cascade
);
create index sessions_of_account on sessions (tenant_id, account_id);
create index sessions_by_hash on sessions using hash (session_hash);
alter table sessions enable row level security;
alter table sessions force row level security;
create policy tenant_isolation on sessions
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy session_by_hash on sessions for select
  using (session_hash = nullif(current_setting('app.lookup', true), ''));
grant select, insert, delete on sessions to lumatrace_app;
grant update (last_seen_at) on sessions to lumatrace_app;

-- API keys: shown once, kept as HMAC-SHA-256 under the pepper of the named version.
create table api_keys (
  tenant_id uuid not null references tenants (tenant_id) on delete cascade,
  key_id uuid not null,
  name text not null check (length(name) between 1 and 200),
  prefix text not null,
  key_hash text not null,
  pepper_version integer not null,
  scopes text[] not null,
  created_at timestamptz not null,
  created_by text not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  primary key (tenant_id, key_id)
);
create index api_keys_by_hash on api_keys using hash (key_hash);
alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy tenant_isolation on api_keys
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy api_key_by_hash on api_keys for select
  using (key_hash = nullif(current_setting('app.lookup', true), ''));
grant select, insert on api_keys to lumatrace_app;
grant update (revoked_at, last_used_at) on api_keys to lumatrace_app;

-- Service accounts: a name and a password that are exchanged for a token of 15 minutes.
create table service_accounts (
  tenant_id uuid not null references tenants (tenant_id) on delete cascade,
  service_account_id uuid not null,
  username text not null check (length(username) between 3 and 100),
  argon2id text not null,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  disabled_at timestamptz,
  primary key (tenant_id, service_account_id),
  unique (tenant_id, username)
);
create index service_accounts_by_username on service_accounts using hash (username);
alter table service_accounts enable row level security;
alter table service_accounts force row level security;
create policy tenant_isolation on service_accounts
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy service_account_by_username on service_accounts for select
  using (username = nullif(current_setting('app.lookup', true), ''));
grant select, insert on service_accounts to lumatrace_app;
grant update (argon2id, disabled_at) on service_accounts to lumatrace_app;

-- Tokens that were logged out before their time. Revoked by (issuer, jti): a token's text is malleable, its id is not.
create table revoked_tokens (
  tenant_id uuid not null references tenants (tenant_id) on delete cascade,
  iss text not null,
  jti text not null,
  expires_at timestamptz not null,
  primary key (tenant_id, iss, jti)
);
alter table revoked_tokens enable row level security;
alter table revoked_tokens force row level security;
create policy tenant_isolation on revoked_tokens
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, delete on revoked_tokens to lumatrace_app;

-- Counters of the rate limits (columns as rate-limiter-flexible names them). Unlogged: a crash of PostgreSQL starts the
-- windows anew, which trades at most one extra window for no fsync per request. A transaction reaches one key only.
create unlogged table rate_limits (
  key text primary key,
  points integer not null default 0,
  expire bigint
);
alter table rate_limits enable row level security;
create policy counter_by_key on rate_limits
  using (key = nullif(current_setting('app.lookup', true), ''))
  with check (key = nullif(current_setting('app.lookup', true), ''));
grant select, insert, update, delete on rate_limits to lumatrace_app;
