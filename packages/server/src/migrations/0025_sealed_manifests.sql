-- Manifests name titles and authors: they are sealed under the tenant's key like every other content. Rows of earlier versions
-- are sealed by the nightly job; both are read meanwhile.
alter table protections add column manifest_sealed boolean not null default false;
create index protections_to_seal on protections (tenant_id) where not manifest_sealed;
grant update (manifest_store, manifest_sealed) on protections to lumatrace_app;
