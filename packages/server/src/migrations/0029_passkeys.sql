-- Passkeys (WebAuthn, discoverable credentials): the public halves. They belong to a person, not to a tenant.
create table passkeys (
  account_id uuid not null references accounts (account_id) on delete cascade,
  -- base64url, as WebAuthn level 3 bounds it: 1,023 bytes
  credential_id text not null check (length(credential_id) between 16 and 1364),
  -- COSE
  public_key bytea not null check (octet_length(public_key) between 1 and 2048),
  counter bigint not null check (counter >= 0),
  transports text[] not null check (cardinality(transports) <= 10),
  is_backed_up boolean not null,
  name text not null check (length(name) between 1 and 100),
  created_at timestamptz(3) not null,
  last_used_at timestamptz(3),
  primary key (account_id, credential_id)
);
alter table passkeys enable row level security;
alter table passkeys force row level security;
create policy account_itself on passkeys
  using (account_id = nullif(current_setting('app.account', true), '')::uuid)
  with check (account_id = nullif(current_setting('app.account', true), '')::uuid);
grant select, insert, delete on passkeys to lumatrace_app;
grant update (counter, is_backed_up, name, last_used_at) on passkeys to lumatrace_app;
