-- Keys of the installation behind photographs: the root of its certificates (the certificate only), the issuing CA, the
-- leaves that sign manifests, and the key that signs registrations. Private halves as only the signer process can open.
create table photo_keys (
  kid             text primary key,
  purpose         text not null check (purpose in ('root', 'issuing-ca', 'leaf', 'registration')),
  certificate_pem text,
  public_spki     bytea not null,
  -- null for the root: its key lies in the recovery kit
  wrapped_private bytea check ((wrapped_private is null) = (purpose = 'root')),
  created_at      timestamptz not null,
  expires_at      timestamptz,
  revoked_at      timestamptz,
  check ((certificate_pem is null) = (purpose = 'registration'))
);

create index photo_keys_by_purpose on photo_keys (purpose, created_at desc);
