-- A new key beside the old one, which ends later; a service account with two passwords for a while.
alter table api_keys add column replaced_by uuid;
grant update (expires_at, replaced_by) on api_keys to lumatrace_app;

alter table service_accounts
  add column name text check (length(name) between 1 and 200),
  add column created_by text,
  add column rotated_at timestamptz(3),
  add column last_used_at timestamptz(3),
  add column expires_at timestamptz(3),
  -- the password before, and until when it is still taken
  add column previous_argon2id text,
  add column previous_until timestamptz(3),
  add check ((previous_argon2id is null) = (previous_until is null));
grant update (name, scopes, rotated_at, last_used_at, expires_at, previous_argon2id, previous_until)
  on service_accounts to lumatrace_app;
