-- A key of our own for time stamps (RFC 3161), beside those that sign: signatures outlive the certificates behind them.
alter table photo_keys drop constraint photo_keys_purpose_check;
alter table photo_keys add constraint photo_keys_purpose_check
  check (purpose in ('root', 'issuing-ca', 'leaf', 'registration', 'time-stamping'));
