-- Alerts are shown to the tenant that they are about, and told to the operator's webhook until it took them.
alter table security_alerts
  add column alert_id uuid not null default gen_random_uuid() unique,
  -- null: about the installation as a whole
  add column of_tenant uuid,
  -- null: not told yet, or nobody is to be told
  add column told_at timestamptz;
update security_alerts set of_tenant = substr(about, 8)::uuid
where about ~ '^tenant:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
create index security_alerts_by_time on security_alerts (at desc);
