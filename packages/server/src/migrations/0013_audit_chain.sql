-- The audit log becomes a keyed chain: each line is bound to the one before it in its tenant.
alter table audit
  -- place in the tenant's chain, from 1 without gaps; null in lines from before the chain until the first start chains them
  add column position bigint check (position > 0),
  -- SHA-256 over the line and the hash before it: whoever reads an export can compute it
  add column hash bytea check (octet_length(hash) = 32),
  -- HMAC-SHA-256 of the hash under the tenant's audit key, which the database never sees
  add column mac bytea check (octet_length(mac) = 32),
  add constraint audit_chained check ((position is null) = (hash is null) and (hash is null) = (mac is null));

create unique index audit_position on audit (tenant_id, position);

-- The end of a tenant's chain, held until the transaction ends. A function, because each of its statements sees what was
-- committed when it began: after the wait for the lock, in the same round trip, the line of whoever held it before.
create function audit_tail(tenant uuid) returns table (at timestamptz, place bigint, hash bytea)
language plpgsql volatile
set search_path = pg_catalog, public
as $$
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
$$;
