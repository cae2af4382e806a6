-- What owners published of their photos: enough to find a manifest from a picture, for anybody.
create table published_photos (
  tenant_id    uuid not null,
  photo_id     uuid not null,
  -- label of the active manifest, a URN (C2PA 2.4 §8.3)
  manifest_id  text not null check (length(manifest_id) between 1 and 200),
  -- the soft binding's value: the watermark's payload
  binding      bytea not null check (octet_length(binding) = 8),
  fingerprint  bit(256) not null,
  published_at timestamptz(3) not null default clock_timestamp(),
  primary key (tenant_id, photo_id),
  foreign key (tenant_id, photo_id) references protections (tenant_id, photo_id)
);
-- for whoever holds a whole value: a hash index lists nothing
create index published_photos_by_manifest on published_photos using hash (manifest_id);
create index published_photos_by_binding on published_photos using hash (binding);

alter table published_photos enable row level security;
alter table published_photos force row level security;
create policy published_photos_of_tenant on published_photos
  using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
-- everybody may look them up: that is what publishing means
create policy published_photos_for_all on published_photos for select
  using (current_setting('app.lookup', true) = 'published');
grant select, insert, delete on published_photos to lumatrace_app;

-- candidates by fingerprint are compared bit by bit
alter table protections
  add column fingerprint_bits bit(256) generated always as (('x' || encode(fingerprint, 'hex'))::bit(256)) stored;
