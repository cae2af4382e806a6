-- Challenges of passkeys that opened a session: an assertion opens one, also where the authenticator counts nothing.
create table used_challenges (
  account_id uuid not null references accounts (account_id) on delete cascade,
  -- SHA-256, hexadecimal
  challenge_hash text not null check (length(challenge_hash) = 64),
  ends_at timestamptz(3) not null,
  primary key (account_id, challenge_hash)
);
alter table used_challenges enable row level security;
alter table used_challenges force row level security;
create policy account_itself on used_challenges
  using (account_id = nullif(current_setting('app.account', true), '')::uuid)
  with check (account_id = nullif(current_setting('app.account', true), '')::uuid);
grant select, insert, delete on used_challenges to lumatrace_app;
