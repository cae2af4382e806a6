-- Why a certificate was taken back, for people; revoked_at is the moment from which it is not trusted.
alter table photo_keys add column revoke_reason text check (length(revoke_reason) between 1 and 200);
