-- Photos: what was registered and protected, the manifests that were issued, and which requests were already answered.
-- No image and no pixel is stored: hashes, sizes, sealed metadata and the manifest (which holds none) are all there is.

create table photos (
  tenant_id            uuid not null references tenants (tenant_id),
  photo_id             uuid not null,
  -- SHA-256 of the file as it was before protection
  content_hash         bytea not null check (octet_length(content_hash) = 32),
  status               text not null default 'registered' check (status in ('registered', 'protected')),
  -- sealed under the tenant's key: column "device_model" and column "location" (JSON of latitude and longitude)
  device_model         bytea not null,
  location             bytea,
  -- what the signature covers beside the sealed columns; milliseconds, so that the record can be rebuilt to the byte
  registered_at        timestamptz(3) not null,
  registered_signature bytea not null,
  registered_key_id    text not null,
  trace_id             text check (trace_id ~ '^[0-9a-f]{32}$'),
  -- a running protect holds the registration for a moment, so that two of them cannot take one photo
  reserved_by          uuid,
  reserved_until       timestamptz,
  protected_at         timestamptz(3),
  created_at           timestamptz(3) not null default clock_timestamp(),
  primary key (tenant_id, photo_id),
  check ((status = 'protected') = (protected_at is not null))
);

create index photos_by_age on photos (tenant_id, created_at desc, photo_id desc);
create index photos_to_protect on photos (tenant_id, content_hash, created_at desc) where status = 'registered';

create table protections (
  tenant_id        uuid not null,
  photo_id         uuid not null,
  format           text not null check (format in ('jpeg', 'png', 'webp')),
  width            integer not null check (width > 0),
  height           integer not null check (height > 0),
  orientation      smallint not null check (orientation between 1 and 8),
  -- key of the watermark, sealed under the tenant's key (column "mark_key"): it outlives the rotation of that key
  mark_key         bytea not null,
  output_bytes     integer not null check (output_bytes > 0),
  output_sha256    bytea not null check (octet_length(output_sha256) = 32),
  -- of the marked image before the manifest went in
  unsigned_sha256  bytea not null check (octet_length(unsigned_sha256) = 32),
  -- the manifest store, without the bytes that came in with the image: `manifest_gaps` says where they go back
  manifest_store   bytea not null,
  manifest_gaps    jsonb not null default '[]',
  manifest_sha256  bytea not null check (octet_length(manifest_sha256) = 32),
  certificate_kid  text not null,
  fingerprint      bytea not null,
  -- what the encoder and our own check reported: JPEG quality, gain, z, log10 p
  evidence         jsonb not null default '{}',
  protected_at     timestamptz(3) not null,
  primary key (tenant_id, photo_id),
  foreign key (tenant_id, photo_id) references photos (tenant_id, photo_id)
);
alter table protections alter column manifest_store set storage external;

create index protections_by_output on protections (tenant_id, output_sha256);

-- One row per Idempotency-Key and route: who is working on it, or what was answered. Never an image.
create table idempotency (
  tenant_id     uuid not null references tenants (tenant_id),
  route         text not null,
  key           text not null check (length(key) between 1 and 64),
  body_sha256   bytea not null check (octet_length(body_sha256) = 32),
  state         text not null default 'running' check (state in ('running', 'done')),
  owner         uuid not null,
  lease_until   timestamptz not null,
  status        smallint,
  headers       jsonb,
  body          bytea check (octet_length(body) <= 65536),
  output_sha256 bytea,
  photo_id      uuid,
  created_at    timestamptz not null default clock_timestamp(),
  expires_at    timestamptz not null,
  primary key (tenant_id, route, key),
  check ((state = 'done') = (status is not null))
);

create index idempotency_by_expiry on idempotency (tenant_id, expires_at);

alter table photos enable row level security;
alter table photos force row level security;
alter table protections enable row level security;
alter table protections force row level security;
alter table idempotency enable row level security;
alter table idempotency force row level security;

create policy photos_of_tenant on photos
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy protections_of_tenant on protections
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy idempotency_of_tenant on idempotency
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

grant select, insert, update on photos to lumatrace_app;
grant select, insert on protections to lumatrace_app;
grant select, insert, update, delete on idempotency to lumatrace_app;
