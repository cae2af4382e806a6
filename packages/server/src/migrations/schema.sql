-- The schema after all migrations, dumped from the catalogue by storage/schema.ts. Written, never edited.
-- Day partitions are left out: they come and go while the program runs.

create table account_passwords (
  account_id uuid not null,
  argon2id text not null,
  changed_at timestamp with time zone not null default now()
);
alter table account_passwords add constraint account_passwords_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(account_id) ON DELETE CASCADE;
alter table account_passwords add constraint account_passwords_pkey PRIMARY KEY (account_id);
alter table account_passwords enable row level security;
alter table account_passwords force row level security;
create policy account_itself on account_passwords using ((account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid)) with check ((account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid));
create policy backup on account_passwords for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
grant insert, select, update on account_passwords to lumatrace_app;

create table accounts (
  account_id uuid not null,
  email text,
  name text,
  must_change_password boolean not null default false,
  created_at timestamp with time zone not null default now(),
  last_login_at timestamp with time zone,
  email_index text,
  email_sealed bytea,
  name_sealed bytea,
  managed_by uuid,
  last_tenant_id uuid
);
alter table accounts add constraint accounts_check CHECK (((email_sealed IS NULL) = (email IS NOT NULL)));
alter table accounts add constraint accounts_check1 CHECK (((name_sealed IS NULL) = (name IS NOT NULL)));
alter table accounts add constraint accounts_check2 CHECK (((email_index IS NULL) = (email_sealed IS NULL)));
alter table accounts add constraint accounts_email_check CHECK (((email = lower(email)) AND ((length(email) >= 3) AND (length(email) <= 254))));
alter table accounts add constraint accounts_email_index_check CHECK ((length(email_index) = 43));
alter table accounts add constraint accounts_email_index_key UNIQUE (email_index);
alter table accounts add constraint accounts_email_key UNIQUE (email);
alter table accounts add constraint accounts_managed_by_fkey FOREIGN KEY (managed_by) REFERENCES tenants(tenant_id);
alter table accounts add constraint accounts_name_check CHECK ((length(name) <= 200));
alter table accounts add constraint accounts_pkey PRIMARY KEY (account_id);
alter table accounts enable row level security;
alter table accounts force row level security;
create policy account_by_email on accounts for select using ((email_index = NULLIF(current_setting('app.lookup'::text, true), ''::text)));
create policy account_itself on accounts using ((account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid)) with check ((account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid));
create policy account_managed on accounts for select using ((managed_by = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
create policy account_of_tenant on accounts for select using (((NULLIF(current_setting('app.tenant'::text, true), ''::text) IS NOT NULL) AND (EXISTS ( SELECT 1 FROM memberships m WHERE (m.account_id = accounts.account_id)))));
create policy backup on accounts for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy sealing on accounts to <owner> using ((current_setting('app.sealing'::text, true) = 'on'::text)) with check ((current_setting('app.sealing'::text, true) = 'on'::text));
grant insert, select on accounts to lumatrace_app;
grant update (must_change_password), update (last_login_at), update (name_sealed), update (last_tenant_id) on accounts to lumatrace_app;

create table api_keys (
  tenant_id uuid not null,
  key_id uuid not null,
  name text not null,
  prefix text not null,
  key_hash text not null,
  pepper_version integer not null,
  scopes text[] not null,
  created_at timestamp with time zone not null,
  created_by text not null,
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  last_used_at timestamp with time zone,
  replaced_by uuid
);
alter table api_keys add constraint api_keys_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)));
alter table api_keys add constraint api_keys_pkey PRIMARY KEY (tenant_id, key_id);
alter table api_keys add constraint api_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE;
CREATE INDEX api_keys_by_hash ON public.api_keys USING hash (key_hash);
alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy api_key_by_hash on api_keys for select using ((key_hash = NULLIF(current_setting('app.lookup'::text, true), ''::text)));
create policy backup on api_keys for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant_isolation on api_keys using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select on api_keys to lumatrace_app;
grant update (key_hash), update (pepper_version), update (expires_at), update (revoked_at), update (last_used_at), update (replaced_by) on api_keys to lumatrace_app;

create table audit (
  tenant_id uuid not null,
  seq bigint not null generated always as identity,
  at timestamp with time zone not null default now(),
  actor text not null,
  action text not null,
  object text not null,
  outcome text not null,
  request_id text,
  detail jsonb,
  "position" bigint,
  hash bytea,
  mac bytea
);
alter table audit add constraint audit_chained CHECK (((("position" IS NULL) = (hash IS NULL)) AND ((hash IS NULL) = (mac IS NULL))));
alter table audit add constraint audit_hash_check CHECK ((octet_length(hash) = 32));
alter table audit add constraint audit_mac_check CHECK ((octet_length(mac) = 32));
alter table audit add constraint audit_pkey PRIMARY KEY (tenant_id, seq);
alter table audit add constraint audit_position_check CHECK (("position" > 0));
alter table audit add constraint audit_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
CREATE INDEX audit_at ON public.audit USING btree (tenant_id, at DESC);
CREATE UNIQUE INDEX audit_position ON public.audit USING btree (tenant_id, "position");
alter table audit enable row level security;
alter table audit force row level security;
create policy backup on audit for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on audit using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select on audit to lumatrace_app;

create table content_blocks (
  tenant_id uuid not null,
  day date not null,
  block_id uuid not null,
  retention_class smallint not null,
  sealed bytea not null storage external
) partition by LIST (retention_class);
alter table content_blocks add constraint content_blocks_pkey PRIMARY KEY (tenant_id, day, block_id, retention_class);
alter table content_blocks enable row level security;
alter table content_blocks force row level security;
create policy backup on content_blocks for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on content_blocks using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select on content_blocks to lumatrace_app;
grant update (sealed) on content_blocks to lumatrace_app;

create table content_blocks_1 partition of content_blocks FOR VALUES IN ('1') partition by RANGE (day);

create table content_blocks_30 partition of content_blocks FOR VALUES IN ('30') partition by RANGE (day);

create table content_blocks_365 partition of content_blocks FOR VALUES IN ('365') partition by RANGE (day);

create table content_blocks_7 partition of content_blocks FOR VALUES IN ('7') partition by RANGE (day);

create table content_blocks_90 partition of content_blocks FOR VALUES IN ('90') partition by RANGE (day);

create table idempotency (
  tenant_id uuid not null,
  route text not null,
  key text not null,
  body_sha256 bytea not null,
  state text not null default 'running'::text,
  owner uuid not null,
  lease_until timestamp with time zone not null,
  status smallint,
  headers jsonb,
  body bytea,
  output_sha256 bytea,
  photo_id uuid,
  created_at timestamp with time zone not null default clock_timestamp(),
  expires_at timestamp with time zone not null
);
alter table idempotency add constraint idempotency_body_check CHECK ((octet_length(body) <= 65536));
alter table idempotency add constraint idempotency_body_sha256_check CHECK ((octet_length(body_sha256) = 32));
alter table idempotency add constraint idempotency_check CHECK (((state = 'done'::text) = (status IS NOT NULL)));
alter table idempotency add constraint idempotency_key_check CHECK (((length(key) >= 1) AND (length(key) <= 64)));
alter table idempotency add constraint idempotency_pkey PRIMARY KEY (tenant_id, route, key);
alter table idempotency add constraint idempotency_state_check CHECK ((state = ANY (ARRAY['running'::text, 'done'::text])));
alter table idempotency add constraint idempotency_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
CREATE INDEX idempotency_by_expiry ON public.idempotency USING btree (tenant_id, expires_at);
alter table idempotency enable row level security;
alter table idempotency force row level security;
create policy backup on idempotency for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy idempotency_of_tenant on idempotency using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select, update on idempotency to lumatrace_app;

create table installation (
  only_one boolean not null default true,
  tenant_id uuid not null,
  created_at timestamp with time zone not null default now()
);
alter table installation add constraint installation_only_one_check CHECK (only_one);
alter table installation add constraint installation_pkey PRIMARY KEY (only_one);
alter table installation enable row level security;
alter table installation force row level security;
create policy backup on installation for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy installation_is_known on installation for select using (true);
create policy installation_is_made_once on installation for insert with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select on installation to lumatrace_app;

create table installation_keys (
  name text not null,
  version integer not null,
  wrapped bytea not null,
  created_at timestamp with time zone not null default now()
);
alter table installation_keys add constraint installation_keys_pkey PRIMARY KEY (name, version);
alter table installation_keys add constraint installation_keys_version_check CHECK ((version > 0));

create table invitations (
  tenant_id uuid not null,
  invitation_id uuid not null,
  email_sealed bytea not null,
  role text not null,
  token_hash text not null,
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  expires_at timestamp(3) with time zone not null,
  accepted_at timestamp(3) with time zone,
  accepted_by uuid,
  revoked_at timestamp(3) with time zone
);
alter table invitations add constraint invitations_check CHECK (((accepted_at IS NULL) OR (revoked_at IS NULL)));
alter table invitations add constraint invitations_check1 CHECK (((accepted_at IS NULL) = (accepted_by IS NULL)));
alter table invitations add constraint invitations_pkey PRIMARY KEY (tenant_id, invitation_id);
alter table invitations add constraint invitations_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'analyst'::text, 'viewer'::text, 'auditor'::text, 'security'::text])));
alter table invitations add constraint invitations_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE;
alter table invitations add constraint invitations_token_hash_check CHECK ((length(token_hash) = 64));
CREATE INDEX invitations_by_token ON public.invitations USING hash (token_hash);
alter table invitations enable row level security;
alter table invitations force row level security;
create policy backup on invitations for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy invitation_by_token on invitations for select using ((token_hash = NULLIF(current_setting('app.lookup'::text, true), ''::text)));
create policy tenant_isolation on invitations using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select on invitations to lumatrace_app;
grant update (email_sealed), update (accepted_at), update (accepted_by), update (revoked_at) on invitations to lumatrace_app;

create table kek_check (
  version integer not null,
  value bytea not null,
  created_at timestamp with time zone not null default now()
);
alter table kek_check add constraint kek_check_pkey PRIMARY KEY (version);
alter table kek_check add constraint kek_check_value_check CHECK ((octet_length(value) = 32));
alter table kek_check add constraint kek_check_version_check CHECK ((version > 0));

create table log_checkpoints (
  tree_size bigint not null,
  root bytea not null,
  note text not null,
  signed_at timestamp(3) with time zone not null default clock_timestamp()
);
alter table log_checkpoints add constraint log_checkpoints_pkey PRIMARY KEY (tree_size);
alter table log_checkpoints add constraint log_checkpoints_root_check CHECK ((octet_length(root) = 32));
alter table log_checkpoints add constraint log_checkpoints_tree_size_check CHECK ((tree_size >= 0));
grant select on log_checkpoints to lumatrace_app;
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.log_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_log();

create table log_entries (
  tenant_id uuid not null,
  leaf_hash bytea not null,
  object text not null,
  entry text not null,
  logged_at timestamp(3) with time zone not null default clock_timestamp()
);
alter table log_entries add constraint log_entries_entry_check CHECK (((length(entry) >= 2) AND (length(entry) <= 16384)));
alter table log_entries add constraint log_entries_leaf_hash_check CHECK ((octet_length(leaf_hash) = 32));
alter table log_entries add constraint log_entries_object_check CHECK (((length(object) >= 1) AND (length(object) <= 200)));
alter table log_entries add constraint log_entries_pkey PRIMARY KEY (tenant_id, leaf_hash);
alter table log_entries add constraint log_entries_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
CREATE INDEX log_entries_by_object ON public.log_entries USING btree (tenant_id, object, logged_at DESC);
alter table log_entries enable row level security;
alter table log_entries force row level security;
create policy backup on log_entries for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy log_entries_of_tenant on log_entries using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select on log_entries to lumatrace_app;
CREATE TRIGGER never_changed BEFORE UPDATE OR TRUNCATE ON public.log_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_log();

create table log_key (
  only_one boolean not null default true,
  public_spki bytea not null,
  wrapped_private bytea not null,
  created_at timestamp(3) with time zone not null default clock_timestamp()
);
alter table log_key add constraint log_key_only_one_check CHECK (only_one);
alter table log_key add constraint log_key_pkey PRIMARY KEY (only_one);

create table log_leaves (
  leaf_index bigint not null,
  leaf_hash bytea not null
);
alter table log_leaves add constraint log_leaves_leaf_hash_check CHECK ((octet_length(leaf_hash) = 32));
alter table log_leaves add constraint log_leaves_leaf_hash_key UNIQUE (leaf_hash);
alter table log_leaves add constraint log_leaves_leaf_index_check CHECK ((leaf_index >= 0));
alter table log_leaves add constraint log_leaves_pkey PRIMARY KEY (leaf_index);
grant select on log_leaves to lumatrace_app;
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.log_leaves FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_log();

create table log_pending (
  seq bigint not null generated always as identity,
  leaf_hash bytea not null
);
alter table log_pending add constraint log_pending_leaf_hash_check CHECK ((octet_length(leaf_hash) = 32));
alter table log_pending add constraint log_pending_pkey PRIMARY KEY (seq);
grant insert on log_pending to lumatrace_app;

create table log_records (
  tenant_id uuid not null,
  day date not null,
  record_id uuid not null,
  retention_class smallint not null,
  trace_id uuid,
  span_id bigint,
  time_ns bigint not null,
  severity smallint not null,
  service text not null,
  event_name text not null,
  block_id uuid not null,
  block_day date not null,
  block_index integer not null,
  preview bytea storage external
) partition by LIST (retention_class);
alter table log_records add constraint log_records_pkey PRIMARY KEY (tenant_id, day, record_id, retention_class);
CREATE INDEX log_records_trace ON ONLY public.log_records USING btree (tenant_id, trace_id, time_ns) WHERE (trace_id IS NOT NULL);
alter table log_records enable row level security;
alter table log_records force row level security;
create policy backup on log_records for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on log_records using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select on log_records to lumatrace_app;
grant update (preview) on log_records to lumatrace_app;

create table log_records_1 partition of log_records FOR VALUES IN ('1') partition by RANGE (day);

create table log_records_30 partition of log_records FOR VALUES IN ('30') partition by RANGE (day);

create table log_records_365 partition of log_records FOR VALUES IN ('365') partition by RANGE (day);

create table log_records_7 partition of log_records FOR VALUES IN ('7') partition by RANGE (day);

create table log_records_90 partition of log_records FOR VALUES IN ('90') partition by RANGE (day);

create table log_subtrees (
  level smallint not null,
  place bigint not null,
  hash bytea not null
);
alter table log_subtrees add constraint log_subtrees_hash_check CHECK ((octet_length(hash) = 32));
alter table log_subtrees add constraint log_subtrees_level_check CHECK ((level > 0));
alter table log_subtrees add constraint log_subtrees_pkey PRIMARY KEY (level, place);
alter table log_subtrees add constraint log_subtrees_place_check CHECK ((place >= 0));
grant select on log_subtrees to lumatrace_app;
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.log_subtrees FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_log();

create table memberships (
  tenant_id uuid not null,
  account_id uuid not null,
  role text not null,
  created_at timestamp with time zone not null default now()
);
alter table memberships add constraint memberships_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(account_id) ON DELETE CASCADE;
alter table memberships add constraint memberships_pkey PRIMARY KEY (tenant_id, account_id);
alter table memberships add constraint memberships_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'analyst'::text, 'viewer'::text, 'auditor'::text, 'security'::text])));
alter table memberships add constraint memberships_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE;
CREATE INDEX memberships_of_account ON public.memberships USING hash (account_id);
alter table memberships enable row level security;
alter table memberships force row level security;
create policy backup on memberships for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy membership_of_account on memberships for select using ((account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid));
create policy tenant_isolation on memberships using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select, update on memberships to lumatrace_app;

create table metric_points (
  tenant_id uuid not null,
  day date not null,
  series_id uuid not null,
  time_ns bigint not null,
  retention_class smallint not null,
  start_ns bigint not null,
  value double precision,
  count double precision,
  sum double precision,
  min double precision,
  max double precision,
  shape jsonb
) partition by LIST (retention_class);
alter table metric_points add constraint metric_points_pkey PRIMARY KEY (tenant_id, day, series_id, time_ns, retention_class);
alter table metric_points enable row level security;
alter table metric_points force row level security;
create policy backup on metric_points for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on metric_points using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select, update on metric_points to lumatrace_app;

create table metric_points_1 partition of metric_points FOR VALUES IN ('1') partition by RANGE (day);

create table metric_points_30 partition of metric_points FOR VALUES IN ('30') partition by RANGE (day);

create table metric_points_365 partition of metric_points FOR VALUES IN ('365') partition by RANGE (day);

create table metric_points_7 partition of metric_points FOR VALUES IN ('7') partition by RANGE (day);

create table metric_points_90 partition of metric_points FOR VALUES IN ('90') partition by RANGE (day);

create table metric_series (
  tenant_id uuid not null,
  series_id uuid not null,
  name text not null,
  unit text not null,
  description text not null,
  kind text not null,
  temporality text not null,
  monotonic boolean not null,
  service text not null,
  environment text,
  attributes jsonb not null,
  first_day date not null,
  last_day date not null
);
alter table metric_series add constraint metric_series_kind_check CHECK ((kind = ANY (ARRAY['gauge'::text, 'sum'::text, 'histogram'::text, 'exponential_histogram'::text, 'summary'::text])));
alter table metric_series add constraint metric_series_pkey PRIMARY KEY (tenant_id, series_id);
alter table metric_series add constraint metric_series_temporality_check CHECK ((temporality = ANY (ARRAY['unspecified'::text, 'delta'::text, 'cumulative'::text])));
CREATE INDEX metric_series_name ON public.metric_series USING btree (tenant_id, name);
alter table metric_series enable row level security;
alter table metric_series force row level security;
create policy backup on metric_series for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on metric_series using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select, update on metric_series to lumatrace_app;

create table oidc_identities (
  tenant_id uuid not null,
  provider_id uuid not null,
  subject_index text not null,
  account_id uuid not null,
  created_at timestamp(3) with time zone not null,
  last_login_at timestamp(3) with time zone not null
);
alter table oidc_identities add constraint oidc_identities_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(account_id) ON DELETE CASCADE;
alter table oidc_identities add constraint oidc_identities_pkey PRIMARY KEY (tenant_id, provider_id, subject_index);
alter table oidc_identities add constraint oidc_identities_subject_index_check CHECK ((length(subject_index) = 43));
alter table oidc_identities add constraint oidc_identities_tenant_id_provider_id_fkey FOREIGN KEY (tenant_id, provider_id) REFERENCES oidc_providers(tenant_id, provider_id) ON DELETE CASCADE;
CREATE INDEX oidc_identities_of_account ON public.oidc_identities USING btree (tenant_id, account_id);
alter table oidc_identities enable row level security;
alter table oidc_identities force row level security;
create policy backup on oidc_identities for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant_isolation on oidc_identities using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select on oidc_identities to lumatrace_app;
grant update (subject_index), update (last_login_at) on oidc_identities to lumatrace_app;

create table oidc_providers (
  tenant_id uuid not null,
  provider_id uuid not null,
  name text not null,
  issuer text not null,
  client_id text not null,
  client_secret_sealed bytea,
  groups_claim text not null,
  role_by_group jsonb not null,
  default_role text,
  is_listed boolean not null default false,
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  disabled_at timestamp(3) with time zone
);
alter table oidc_providers add constraint oidc_providers_client_id_check CHECK (((length(client_id) >= 1) AND (length(client_id) <= 400)));
alter table oidc_providers add constraint oidc_providers_default_role_check CHECK ((default_role = ANY (ARRAY['admin'::text, 'analyst'::text, 'viewer'::text, 'auditor'::text, 'security'::text])));
alter table oidc_providers add constraint oidc_providers_groups_claim_check CHECK (((length(groups_claim) >= 1) AND (length(groups_claim) <= 100)));
alter table oidc_providers add constraint oidc_providers_issuer_check CHECK (((length(issuer) >= 8) AND (length(issuer) <= 500)));
alter table oidc_providers add constraint oidc_providers_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100)));
alter table oidc_providers add constraint oidc_providers_pkey PRIMARY KEY (tenant_id, provider_id);
alter table oidc_providers add constraint oidc_providers_role_by_group_check CHECK ((jsonb_typeof(role_by_group) = 'array'::text));
alter table oidc_providers add constraint oidc_providers_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE;
CREATE INDEX oidc_providers_by_id ON public.oidc_providers USING hash (provider_id);
alter table oidc_providers enable row level security;
alter table oidc_providers force row level security;
create policy backup on oidc_providers for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy oidc_provider_by_id on oidc_providers for select using (((provider_id)::text = NULLIF(current_setting('app.lookup'::text, true), ''::text)));
create policy oidc_provider_listed on oidc_providers for select using ((is_listed AND (disabled_at IS NULL) AND (current_setting('app.lookup'::text, true) = 'oidc_providers listed'::text)));
create policy tenant_isolation on oidc_providers using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select on oidc_providers to lumatrace_app;
grant update (name), update (issuer), update (client_id), update (client_secret_sealed), update (groups_claim), update (role_by_group), update (default_role), update (is_listed), update (disabled_at) on oidc_providers to lumatrace_app;

create table passkeys (
  account_id uuid not null,
  credential_id text not null,
  public_key bytea not null,
  counter bigint not null,
  transports text[] not null,
  is_backed_up boolean not null,
  name text not null,
  created_at timestamp(3) with time zone not null,
  last_used_at timestamp(3) with time zone
);
alter table passkeys add constraint passkeys_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(account_id) ON DELETE CASCADE;
alter table passkeys add constraint passkeys_counter_check CHECK ((counter >= 0));
alter table passkeys add constraint passkeys_credential_id_check CHECK (((length(credential_id) >= 16) AND (length(credential_id) <= 1364)));
alter table passkeys add constraint passkeys_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100)));
alter table passkeys add constraint passkeys_pkey PRIMARY KEY (account_id, credential_id);
alter table passkeys add constraint passkeys_public_key_check CHECK (((octet_length(public_key) >= 1) AND (octet_length(public_key) <= 2048)));
alter table passkeys add constraint passkeys_transports_check CHECK ((cardinality(transports) <= 10));
alter table passkeys enable row level security;
alter table passkeys force row level security;
create policy account_itself on passkeys using ((account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid)) with check ((account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid));
create policy backup on passkeys for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
grant delete, insert, select on passkeys to lumatrace_app;
grant update (counter), update (is_backed_up), update (name), update (last_used_at) on passkeys to lumatrace_app;

create table photo_keys (
  kid text not null,
  purpose text not null,
  certificate_pem text,
  public_spki bytea not null,
  wrapped_private bytea,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  revoke_reason text
);
alter table photo_keys add constraint photo_keys_check CHECK (((wrapped_private IS NULL) = (purpose = 'root'::text)));
alter table photo_keys add constraint photo_keys_check1 CHECK (((certificate_pem IS NULL) = (purpose = 'registration'::text)));
alter table photo_keys add constraint photo_keys_pkey PRIMARY KEY (kid);
alter table photo_keys add constraint photo_keys_purpose_check CHECK ((purpose = ANY (ARRAY['root'::text, 'issuing-ca'::text, 'leaf'::text, 'registration'::text, 'time-stamping'::text])));
alter table photo_keys add constraint photo_keys_revoke_reason_check CHECK (((length(revoke_reason) >= 1) AND (length(revoke_reason) <= 200)));
CREATE INDEX photo_keys_by_purpose ON public.photo_keys USING btree (purpose, created_at DESC);

create table photos (
  tenant_id uuid not null,
  photo_id uuid not null,
  content_hash bytea not null,
  status text not null default 'registered'::text,
  device_model bytea not null,
  location bytea,
  registered_at timestamp(3) with time zone not null,
  registered_signature bytea not null,
  registered_key_id text not null,
  trace_id text,
  reserved_by uuid,
  reserved_until timestamp with time zone,
  protected_at timestamp(3) with time zone,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  span_id text
);
alter table photos add constraint photos_check CHECK (((status = 'protected'::text) = (protected_at IS NOT NULL)));
alter table photos add constraint photos_content_hash_check CHECK ((octet_length(content_hash) = 32));
alter table photos add constraint photos_pkey PRIMARY KEY (tenant_id, photo_id);
alter table photos add constraint photos_span_id_check CHECK ((span_id ~ '^[0-9a-f]{16}$'::text));
alter table photos add constraint photos_span_in_trace CHECK (((span_id IS NULL) OR (trace_id IS NOT NULL)));
alter table photos add constraint photos_status_check CHECK ((status = ANY (ARRAY['registered'::text, 'protected'::text])));
alter table photos add constraint photos_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
alter table photos add constraint photos_trace_id_check CHECK ((trace_id ~ '^[0-9a-f]{32}$'::text));
CREATE INDEX photos_by_age ON public.photos USING btree (tenant_id, created_at DESC, photo_id DESC);
CREATE INDEX photos_by_trace ON public.photos USING btree (tenant_id, trace_id) WHERE (trace_id IS NOT NULL);
CREATE INDEX photos_to_protect ON public.photos USING btree (tenant_id, content_hash, created_at DESC) WHERE (status = 'registered'::text);
alter table photos enable row level security;
alter table photos force row level security;
create policy backup on photos for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy photos_of_tenant on photos using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select, update on photos to lumatrace_app;
grant update (device_model), update (location) on photos to lumatrace_app;

create table price_overrides (
  tenant_id uuid not null,
  version integer not null,
  overrides jsonb not null,
  created_at timestamp with time zone not null default now(),
  created_by text not null
);
alter table price_overrides add constraint price_overrides_pkey PRIMARY KEY (tenant_id, version);
alter table price_overrides add constraint price_overrides_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
alter table price_overrides enable row level security;
alter table price_overrides force row level security;
create policy backup on price_overrides for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on price_overrides using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select on price_overrides to lumatrace_app;

create table price_tables (
  table_id bigint not null generated always as identity,
  source text not null,
  version text not null,
  sha256 text not null,
  models integer not null,
  compressed bytea not null storage external,
  installed_at timestamp with time zone not null default now(),
  installed_by text not null
);
alter table price_tables add constraint price_tables_pkey PRIMARY KEY (table_id);
alter table price_tables add constraint price_tables_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text));
grant select on price_tables to lumatrace_app;

create table protections (
  tenant_id uuid not null,
  photo_id uuid not null,
  format text not null,
  width integer not null,
  height integer not null,
  orientation smallint not null,
  output_bytes integer not null,
  output_sha256 bytea not null,
  unsigned_sha256 bytea not null,
  manifest_store bytea not null storage external,
  manifest_gaps jsonb not null default '[]'::jsonb,
  manifest_sha256 bytea not null,
  certificate_kid text not null,
  fingerprint bytea not null,
  evidence jsonb not null default '{}'::jsonb,
  protected_at timestamp(3) with time zone not null,
  watermark_id bigint,
  watermark_sync_version integer,
  watermark_payload_version integer,
  fingerprint_bits bit(256) generated always as ((('x'::text || encode(fingerprint, 'hex'::text)))::bit(256)) stored,
  profile text,
  manifest_sealed boolean not null default false
);
alter table protections add constraint protections_check CHECK (((watermark_id IS NULL) = (watermark_sync_version IS NULL)));
alter table protections add constraint protections_check1 CHECK (((watermark_id IS NULL) = (watermark_payload_version IS NULL)));
alter table protections add constraint protections_format_check CHECK ((format = ANY (ARRAY['jpeg'::text, 'png'::text, 'webp'::text])));
alter table protections add constraint protections_height_check CHECK ((height > 0));
alter table protections add constraint protections_manifest_sha256_check CHECK ((octet_length(manifest_sha256) = 32));
alter table protections add constraint protections_orientation_check CHECK (((orientation >= 1) AND (orientation <= 8)));
alter table protections add constraint protections_output_bytes_check CHECK ((output_bytes > 0));
alter table protections add constraint protections_output_sha256_check CHECK ((octet_length(output_sha256) = 32));
alter table protections add constraint protections_pkey PRIMARY KEY (tenant_id, photo_id);
alter table protections add constraint protections_profile_check CHECK (((length(profile) >= 1) AND (length(profile) <= 40)));
alter table protections add constraint protections_tenant_id_photo_id_fkey FOREIGN KEY (tenant_id, photo_id) REFERENCES photos(tenant_id, photo_id);
alter table protections add constraint protections_unsigned_sha256_check CHECK ((octet_length(unsigned_sha256) = 32));
alter table protections add constraint protections_width_check CHECK ((width > 0));
CREATE INDEX protections_by_output ON public.protections USING btree (tenant_id, output_sha256);
CREATE INDEX protections_to_seal ON public.protections USING btree (tenant_id) WHERE (NOT manifest_sealed);
CREATE UNIQUE INDEX protections_by_watermark ON public.protections USING btree (tenant_id, watermark_id);
alter table protections enable row level security;
alter table protections force row level security;
create policy backup on protections for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy protections_of_tenant on protections using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select on protections to lumatrace_app;
grant update (manifest_store), update (manifest_sealed) on protections to lumatrace_app;

create table published_photos (
  tenant_id uuid not null,
  photo_id uuid not null,
  manifest_id text not null,
  binding bytea not null,
  fingerprint bit(256) not null,
  published_at timestamp(3) with time zone not null default clock_timestamp()
);
alter table published_photos add constraint published_photos_binding_check CHECK ((octet_length(binding) = 8));
alter table published_photos add constraint published_photos_manifest_id_check CHECK (((length(manifest_id) >= 1) AND (length(manifest_id) <= 200)));
alter table published_photos add constraint published_photos_pkey PRIMARY KEY (tenant_id, photo_id);
alter table published_photos add constraint published_photos_tenant_id_photo_id_fkey FOREIGN KEY (tenant_id, photo_id) REFERENCES protections(tenant_id, photo_id);
CREATE INDEX published_photos_by_binding ON public.published_photos USING hash (binding);
CREATE INDEX published_photos_by_manifest ON public.published_photos USING hash (manifest_id);
alter table published_photos enable row level security;
alter table published_photos force row level security;
create policy backup on published_photos for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy published_photos_for_all on published_photos for select using ((current_setting('app.lookup'::text, true) = 'published'::text));
create policy published_photos_of_tenant on published_photos using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select on published_photos to lumatrace_app;

create table rate_limits (
  key text not null,
  points integer not null default 0,
  expire bigint
);
alter table rate_limits add constraint rate_limits_pkey PRIMARY KEY (key);
alter table rate_limits enable row level security;
create policy counter_by_key on rate_limits using ((key = NULLIF(current_setting('app.lookup'::text, true), ''::text))) with check ((key = NULLIF(current_setting('app.lookup'::text, true), ''::text)));
grant delete, insert, select, update on rate_limits to lumatrace_app;

create table recosts (
  tenant_id uuid not null,
  recost_id uuid not null,
  state text not null,
  from_ns bigint not null,
  until_ns bigint not null,
  price_version text not null,
  traces_total integer not null,
  traces_done integer not null default 0,
  spans_seen bigint not null default 0,
  spans_changed bigint not null default 0,
  unpriced_before bigint not null default 0,
  unpriced_after bigint not null default 0,
  old_pico numeric not null default 0,
  new_pico numeric not null default 0,
  after_ns bigint,
  after_trace uuid,
  error text,
  created_by text not null,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now()
);
alter table recosts add constraint recosts_pkey PRIMARY KEY (tenant_id, recost_id);
alter table recosts add constraint recosts_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'completed'::text, 'cancelled'::text, 'failed'::text])));
alter table recosts add constraint recosts_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
CREATE UNIQUE INDEX recosts_active ON public.recosts USING btree (tenant_id) WHERE (state = ANY (ARRAY['queued'::text, 'running'::text]));
alter table recosts enable row level security;
alter table recosts force row level security;
create policy backup on recosts for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on recosts using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select, update on recosts to lumatrace_app;

create table redaction_hits (
  tenant_id uuid not null,
  day date not null,
  rule_id text not null,
  hits bigint not null
);
alter table redaction_hits add constraint redaction_hits_pkey PRIMARY KEY (tenant_id, day, rule_id);
alter table redaction_hits add constraint redaction_hits_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE;
alter table redaction_hits enable row level security;
alter table redaction_hits force row level security;
create policy backup on redaction_hits for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy redaction_hits_tenant on redaction_hits using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select, update on redaction_hits to lumatrace_app;

create table redaction_rules (
  tenant_id uuid not null,
  version integer not null,
  rules jsonb not null,
  changed_at timestamp with time zone not null default now(),
  changed_by text not null
);
alter table redaction_rules add constraint redaction_rules_pkey PRIMARY KEY (tenant_id, version);
alter table redaction_rules add constraint redaction_rules_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE;
alter table redaction_rules add constraint redaction_rules_version_check CHECK ((version > 0));
alter table redaction_rules enable row level security;
alter table redaction_rules force row level security;
create policy backup on redaction_rules for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy redaction_rules_tenant on redaction_rules using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select on redaction_rules to lumatrace_app;

create table revoked_tokens (
  tenant_id uuid not null,
  iss text not null,
  jti text not null,
  expires_at timestamp with time zone not null
);
alter table revoked_tokens add constraint revoked_tokens_pkey PRIMARY KEY (tenant_id, iss, jti);
alter table revoked_tokens add constraint revoked_tokens_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE;
alter table revoked_tokens enable row level security;
alter table revoked_tokens force row level security;
create policy backup on revoked_tokens for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant_isolation on revoked_tokens using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select on revoked_tokens to lumatrace_app;

create table rollups (
  tenant_id uuid not null,
  tier smallint not null,
  dimension smallint not null,
  slot integer not null,
  seq bigint not null generated always as identity,
  key text not null,
  traces bigint not null,
  unpriced_traces bigint not null,
  spans bigint not null,
  errors bigint not null,
  billable bigint not null,
  unpriced bigint not null,
  cost_pico numeric not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  latency_ns numeric not null,
  latency_zeros integer not null,
  latency_buckets smallint[] not null,
  latency_counts integer[] not null
);
alter table rollups add constraint rollups_pkey PRIMARY KEY (tenant_id, tier, dimension, slot, seq);
alter table rollups enable row level security;
alter table rollups force row level security;
create policy backup on rollups for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on rollups using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select on rollups to lumatrace_app;

create table schema_migrations (
  version integer not null,
  name text not null,
  sha256 text not null,
  applied_at timestamp with time zone not null default now()
);
alter table schema_migrations add constraint schema_migrations_pkey PRIMARY KEY (version);

create table scores (
  tenant_id uuid not null,
  trace_id uuid not null,
  span_id bigint not null,
  name text not null,
  source text not null,
  score_id uuid not null,
  time_ns bigint not null,
  value double precision,
  label text,
  content_hash bigint not null,
  sealed bytea not null,
  expires date not null
);
alter table scores add constraint scores_pkey PRIMARY KEY (tenant_id, trace_id, span_id, name, source);
alter table scores add constraint scores_source_check CHECK ((source = ANY (ARRAY['sdk'::text, 'api'::text, 'evaluator'::text])));
CREATE INDEX scores_expiring ON public.scores USING btree (tenant_id, expires);
alter table scores enable row level security;
alter table scores force row level security;
create policy backup on scores for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on scores using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select, update on scores to lumatrace_app;

create table security_alerts (
  kind text not null,
  about text not null,
  hour timestamp with time zone not null,
  at timestamp with time zone not null default now(),
  detail jsonb not null,
  alert_id uuid not null default gen_random_uuid(),
  of_tenant uuid,
  told_at timestamp with time zone
);
alter table security_alerts add constraint security_alerts_about_check CHECK (((length(about) >= 1) AND (length(about) <= 300)));
alter table security_alerts add constraint security_alerts_alert_id_key UNIQUE (alert_id);
alter table security_alerts add constraint security_alerts_kind_check CHECK (((length(kind) >= 1) AND (length(kind) <= 60)));
alter table security_alerts add constraint security_alerts_pkey PRIMARY KEY (kind, about, hour);
CREATE INDEX security_alerts_by_time ON public.security_alerts USING btree (at DESC);

create table service_accounts (
  tenant_id uuid not null,
  service_account_id uuid not null,
  username text not null,
  argon2id text not null,
  scopes text[] not null,
  created_at timestamp with time zone not null default now(),
  disabled_at timestamp with time zone,
  name text,
  created_by text,
  rotated_at timestamp(3) with time zone,
  last_used_at timestamp(3) with time zone,
  expires_at timestamp(3) with time zone,
  previous_argon2id text,
  previous_until timestamp(3) with time zone
);
alter table service_accounts add constraint service_accounts_check CHECK (((previous_argon2id IS NULL) = (previous_until IS NULL)));
alter table service_accounts add constraint service_accounts_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)));
alter table service_accounts add constraint service_accounts_pkey PRIMARY KEY (tenant_id, service_account_id);
alter table service_accounts add constraint service_accounts_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id) ON DELETE CASCADE;
alter table service_accounts add constraint service_accounts_tenant_id_username_key UNIQUE (tenant_id, username);
alter table service_accounts add constraint service_accounts_username_check CHECK (((length(username) >= 3) AND (length(username) <= 100)));
CREATE INDEX service_accounts_by_username ON public.service_accounts USING hash (username);
alter table service_accounts enable row level security;
alter table service_accounts force row level security;
create policy backup on service_accounts for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy service_account_by_username on service_accounts for select using ((username = NULLIF(current_setting('app.lookup'::text, true), ''::text)));
create policy tenant_isolation on service_accounts using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select on service_accounts to lumatrace_app;
grant update (argon2id), update (scopes), update (disabled_at), update (name), update (rotated_at), update (last_used_at), update (expires_at), update (previous_argon2id), update (previous_until) on service_accounts to lumatrace_app;

create table sessions (
  tenant_id uuid not null,
  session_hash text not null,
  account_id uuid not null,
  created_at timestamp with time zone not null,
  last_seen_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  device text,
  provider_id uuid
);
alter table sessions add constraint sessions_device_check CHECK (((length(device) >= 1) AND (length(device) <= 80)));
alter table sessions add constraint sessions_pkey PRIMARY KEY (tenant_id, session_hash);
alter table sessions add constraint sessions_tenant_id_account_id_fkey FOREIGN KEY (tenant_id, account_id) REFERENCES memberships(tenant_id, account_id) ON DELETE CASCADE;
alter table sessions add constraint sessions_tenant_id_provider_id_fkey FOREIGN KEY (tenant_id, provider_id) REFERENCES oidc_providers(tenant_id, provider_id) ON DELETE CASCADE;
CREATE INDEX sessions_by_hash ON public.sessions USING hash (session_hash);
CREATE INDEX sessions_everywhere_of_account ON public.sessions USING hash (account_id);
CREATE INDEX sessions_of_account ON public.sessions USING btree (tenant_id, account_id);
CREATE INDEX sessions_of_provider ON public.sessions USING btree (tenant_id, provider_id) WHERE (provider_id IS NOT NULL);
alter table sessions enable row level security;
alter table sessions force row level security;
create policy backup on sessions for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy session_by_hash on sessions for select using ((session_hash = NULLIF(current_setting('app.lookup'::text, true), ''::text)));
create policy session_ended_by_account on sessions for delete using ((account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid));
create policy session_of_account on sessions for select using ((account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid));
create policy tenant_isolation on sessions using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select on sessions to lumatrace_app;
grant update (last_seen_at) on sessions to lumatrace_app;

create table signing_keys (
  kid text not null,
  alg text not null,
  public_jwk jsonb not null,
  wrapped_private bytea not null,
  state text not null,
  created_at timestamp with time zone not null default now(),
  activated_at timestamp with time zone,
  retired_at timestamp with time zone
);
alter table signing_keys add constraint signing_keys_pkey PRIMARY KEY (kid);
alter table signing_keys add constraint signing_keys_state_check CHECK ((state = ANY (ARRAY['next'::text, 'active'::text, 'retiring'::text, 'retired'::text, 'compromised'::text])));
CREATE UNIQUE INDEX signing_keys_one_active ON public.signing_keys USING btree (state) WHERE (state = 'active'::text);

create table spans (
  tenant_id uuid not null,
  day date not null,
  trace_id uuid not null,
  span_id bigint not null,
  retention_class smallint not null,
  parent_span_id bigint,
  start_ns bigint not null,
  end_ns bigint not null,
  content_hash bigint not null,
  block_id uuid not null,
  block_day date not null,
  block_index integer not null,
  cost_pico bigint,
  client_cost_pico bigint,
  input_tokens bigint,
  output_tokens bigint,
  cache_read_tokens bigint,
  cache_creation_tokens bigint,
  reasoning_tokens bigint,
  status smallint not null,
  kind smallint not null,
  billable boolean not null,
  name text not null,
  service text not null,
  environment text,
  endpoint text,
  operation text,
  provider text,
  model text,
  price_version text,
  user_id text,
  session_id text,
  error_type text,
  response_hash bigint,
  repeats_span_id bigint,
  repeats_reason smallint
) partition by LIST (retention_class);
alter table spans add constraint spans_pkey PRIMARY KEY (tenant_id, day, trace_id, span_id, retention_class);
alter table spans enable row level security;
alter table spans force row level security;
create policy backup on spans for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on spans using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select on spans to lumatrace_app;
grant update (cost_pico), update (billable), update (price_version), update (repeats_span_id), update (repeats_reason) on spans to lumatrace_app;

create table spans_1 partition of spans FOR VALUES IN ('1') partition by RANGE (day);

create table spans_30 partition of spans FOR VALUES IN ('30') partition by RANGE (day);

create table spans_365 partition of spans FOR VALUES IN ('365') partition by RANGE (day);

create table spans_7 partition of spans FOR VALUES IN ('7') partition by RANGE (day);

create table spans_90 partition of spans FOR VALUES IN ('90') partition by RANGE (day);

create table tenant_erasures (
  tenant_id uuid not null,
  erasure_id uuid not null,
  requested_at timestamp(3) with time zone not null default clock_timestamp(),
  key_versions integer[] not null,
  removed jsonb not null default '{}'::jsonb,
  finished_at timestamp(3) with time zone,
  certificate text
);
alter table tenant_erasures add constraint tenant_erasures_check CHECK (((finished_at IS NULL) = (certificate IS NULL)));
alter table tenant_erasures add constraint tenant_erasures_pkey PRIMARY KEY (tenant_id);
alter table tenant_erasures add constraint tenant_erasures_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
CREATE INDEX tenant_erasures_by_id ON public.tenant_erasures USING hash (erasure_id);
alter table tenant_erasures enable row level security;
alter table tenant_erasures force row level security;
create policy backup on tenant_erasures for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy erasure_by_id on tenant_erasures for select using (((erasure_id)::text = NULLIF(current_setting('app.lookup'::text, true), ''::text)));
create policy installation on tenant_erasures to <owner> using (true) with check (true);
create policy tenant on tenant_erasures using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant select on tenant_erasures to lumatrace_app;

create table tenant_keys (
  tenant_id uuid not null,
  version integer not null,
  wrapped bytea not null,
  state text not null,
  activated_at timestamp with time zone not null default now(),
  seals bigint not null default 0,
  superseded_at timestamp with time zone,
  destroyed_at timestamp with time zone
);
alter table tenant_keys add constraint tenant_keys_destroyed_at_check CHECK (((state = 'destroyed'::text) = (destroyed_at IS NOT NULL)));
alter table tenant_keys add constraint tenant_keys_destroyed_check CHECK (((state = 'destroyed'::text) = (octet_length(wrapped) = 0)));
alter table tenant_keys add constraint tenant_keys_pkey PRIMARY KEY (tenant_id, version);
alter table tenant_keys add constraint tenant_keys_root_check CHECK (((state = 'destroyed'::text) OR ((state = 'root'::text) = (version = 0))));
alter table tenant_keys add constraint tenant_keys_seals_check CHECK ((seals >= 0));
alter table tenant_keys add constraint tenant_keys_state_check CHECK ((state = ANY (ARRAY['root'::text, 'active'::text, 'decrypt_only'::text, 'destroyed'::text])));
alter table tenant_keys add constraint tenant_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
alter table tenant_keys add constraint tenant_keys_version_check CHECK ((version >= 0));
alter table tenant_keys enable row level security;
alter table tenant_keys force row level security;
create policy backup on tenant_keys for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy installation on tenant_keys to <owner> using (true) with check (true);
create policy tenant on tenant_keys using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select, update on tenant_keys to lumatrace_app;

create table tenant_reencryptions (
  tenant_id uuid not null,
  place text not null,
  version integer not null,
  started_at timestamp with time zone not null,
  after text[],
  rows_total bigint not null,
  rows_seen bigint not null default 0,
  rows_sealed bigint not null default 0,
  rows_left bigint not null default 0,
  done_at timestamp with time zone
);
alter table tenant_reencryptions add constraint tenant_reencryptions_pkey PRIMARY KEY (tenant_id, place);
alter table tenant_reencryptions add constraint tenant_reencryptions_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
alter table tenant_reencryptions add constraint tenant_reencryptions_version_check CHECK ((version > 0));
alter table tenant_reencryptions enable row level security;
alter table tenant_reencryptions force row level security;
create policy backup on tenant_reencryptions for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on tenant_reencryptions using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select, update on tenant_reencryptions to lumatrace_app;

create table tenant_trust_anchors (
  tenant_id uuid not null,
  sha256 bytea not null,
  certificate_pem text not null,
  subject text not null,
  expires_at timestamp with time zone not null,
  added_at timestamp(3) with time zone not null default clock_timestamp(),
  added_by text not null
);
alter table tenant_trust_anchors add constraint tenant_trust_anchors_certificate_pem_check CHECK (((length(certificate_pem) >= 1) AND (length(certificate_pem) <= 16384)));
alter table tenant_trust_anchors add constraint tenant_trust_anchors_pkey PRIMARY KEY (tenant_id, sha256);
alter table tenant_trust_anchors add constraint tenant_trust_anchors_sha256_check CHECK ((octet_length(sha256) = 32));
alter table tenant_trust_anchors add constraint tenant_trust_anchors_subject_check CHECK ((length(subject) <= 400));
alter table tenant_trust_anchors add constraint tenant_trust_anchors_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
alter table tenant_trust_anchors enable row level security;
alter table tenant_trust_anchors force row level security;
create policy backup on tenant_trust_anchors for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant_trust_anchors_of_tenant on tenant_trust_anchors using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select on tenant_trust_anchors to lumatrace_app;

create table tenants (
  tenant_id uuid not null,
  name text not null,
  created_at timestamp with time zone not null default now(),
  retention_class smallint not null default 7,
  traces_per_day integer,
  requests_per_hour integer
);
alter table tenants add constraint tenants_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)));
alter table tenants add constraint tenants_pkey PRIMARY KEY (tenant_id);
alter table tenants add constraint tenants_requests_per_hour_check CHECK ((requests_per_hour >= 0));
alter table tenants add constraint tenants_retention_class_check CHECK ((retention_class = ANY (ARRAY[1, 7, 30, 90, 365])));
alter table tenants add constraint tenants_traces_per_day_check CHECK ((traces_per_day >= 0));
alter table tenants enable row level security;
alter table tenants force row level security;
create policy backup on tenants for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy installation on tenants to <owner> using (true) with check (true);
create policy tenant on tenants using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
create policy tenant_of_account on tenants for select using (((NULLIF(current_setting('app.account'::text, true), ''::text) IS NOT NULL) AND (EXISTS ( SELECT 1 FROM memberships m WHERE ((m.tenant_id = tenants.tenant_id) AND (m.account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid))))));
grant insert, select, update on tenants to lumatrace_app;

create table traces (
  tenant_id uuid not null,
  trace_id uuid not null,
  retention_class smallint not null,
  start_ns bigint not null,
  end_ns bigint not null,
  span_count integer not null,
  billable_count integer not null,
  unpriced_count integer not null,
  error_count integer not null,
  cost_pico numeric not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  status smallint not null,
  span_id bigint not null,
  parent_span_id bigint,
  name text not null,
  service text not null,
  environment text,
  endpoint text not null,
  model text,
  provider text,
  user_id text,
  session_id text,
  services text[] not null,
  models text[] not null,
  tags text[] not null,
  days date[] not null,
  sealed bytea not null storage external,
  unpriced_models text[] not null default '{}'::text[],
  unpriced_services text[] not null default '{}'::text[]
) with (fillfactor=85);
alter table traces add constraint traces_pkey PRIMARY KEY (tenant_id, trace_id);
CREATE INDEX traces_of_session ON public.traces USING btree (tenant_id, session_id, ((start_ns + 0)), trace_id) WHERE (session_id IS NOT NULL);
CREATE INDEX traces_of_user ON public.traces USING btree (tenant_id, user_id, ((start_ns + 0)), trace_id) WHERE (user_id IS NOT NULL);
CREATE INDEX traces_started ON public.traces USING btree (tenant_id, start_ns, trace_id);
alter table traces enable row level security;
alter table traces force row level security;
create policy backup on traces for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on traces using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select, update on traces to lumatrace_app;

create table usage (
  tenant_id uuid not null,
  day date not null,
  traces bigint not null,
  spans bigint not null,
  duplicates bigint not null,
  replaced bigint not null,
  bytes bigint not null,
  log_records bigint not null default 0,
  metric_points bigint not null default 0
) with (fillfactor=50);
alter table usage add constraint usage_pkey PRIMARY KEY (tenant_id, day);
alter table usage add constraint usage_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
alter table usage enable row level security;
alter table usage force row level security;
create policy backup on usage for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy tenant on usage using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant delete, insert, select, update on usage to lumatrace_app;

create table used_challenges (
  account_id uuid not null,
  challenge_hash text not null,
  ends_at timestamp(3) with time zone not null
);
alter table used_challenges add constraint used_challenges_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(account_id) ON DELETE CASCADE;
alter table used_challenges add constraint used_challenges_challenge_hash_check CHECK ((length(challenge_hash) = 64));
alter table used_challenges add constraint used_challenges_pkey PRIMARY KEY (account_id, challenge_hash);
alter table used_challenges enable row level security;
alter table used_challenges force row level security;
create policy account_itself on used_challenges using ((account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid)) with check ((account_id = (NULLIF(current_setting('app.account'::text, true), ''::text))::uuid));
create policy backup on used_challenges for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
grant delete, insert, select on used_challenges to lumatrace_app;

create table watermark_keys (
  tenant_id uuid not null,
  version integer not null,
  state text not null,
  activated_at timestamp(3) with time zone not null default clock_timestamp(),
  retired_at timestamp(3) with time zone
);
alter table watermark_keys add constraint watermark_keys_check CHECK (((state = 'retired'::text) = (retired_at IS NOT NULL)));
alter table watermark_keys add constraint watermark_keys_pkey PRIMARY KEY (tenant_id, version);
alter table watermark_keys add constraint watermark_keys_state_check CHECK ((state = ANY (ARRAY['active'::text, 'reading'::text, 'retired'::text])));
alter table watermark_keys add constraint watermark_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(tenant_id);
alter table watermark_keys add constraint watermark_keys_version_check CHECK ((version > 0));
CREATE UNIQUE INDEX watermark_keys_active ON public.watermark_keys USING btree (tenant_id) WHERE (state = 'active'::text);
alter table watermark_keys enable row level security;
alter table watermark_keys force row level security;
create policy backup on watermark_keys for select to <owner> using ((current_setting('app.backup'::text, true) = 'on'::text));
create policy watermark_keys_of_tenant on watermark_keys using ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)) with check ((tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid));
grant insert, select, update on watermark_keys to lumatrace_app;

CREATE OR REPLACE FUNCTION public.audit_tail(tenant uuid)
 RETURNS TABLE(at timestamp with time zone, place bigint, hash bytea)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'public'
AS $function$
begin
  perform pg_advisory_xact_lock(hashtextextended('audit ' || tenant::text, 0));
  return query
    select date_trunc('milliseconds', clock_timestamp()), tail.position, tail.hash
    from (select 1) as one
    left join lateral (
      select a.position, a.hash
      from public.audit a
      where a.tenant_id = tenant and a.position is not null
      order by a.position desc
      limit 1
    ) as tail on true;
end
$function$
;

CREATE OR REPLACE FUNCTION public.refuse_change_of_log()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog'
AS $function$
begin
  raise exception 'The transparency log is only appended to: % of % is refused.', tg_op, tg_table_name
    using errcode = 'insufficient_privilege';
end
$function$
;
