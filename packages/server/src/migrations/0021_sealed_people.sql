-- Addresses and names of people are sealed by the program under a key of the installation; a login finds its row by a blind
-- index (HMAC-SHA-256 of the address, base64url). What earlier versions wrote in clear is sealed by the next start, before
-- anybody is served: SQL has no key.
alter table accounts
  add column email_index text unique check (length(email_index) = 43),
  add column email_sealed bytea,
  add column name_sealed bytea,
  alter column email drop not null,
  alter column name drop not null,
  add check ((email_sealed is null) = (email is not null)),
  add check ((name_sealed is null) = (name is not null)),
  add check ((email_index is null) = (email_sealed is null));

drop policy account_by_email on accounts;
create policy account_by_email on accounts for select
  using (email_index = nullif(current_setting('app.lookup', true), ''));

-- The owner seals rows, all people's in one go; nothing else of it sets this.
create policy sealing on accounts to current_user
  using (current_setting('app.sealing', true) = 'on')
  with check (current_setting('app.sealing', true) = 'on');

revoke update (name) on accounts from lumatrace_app;
grant update (name_sealed) on accounts to lumatrace_app;
