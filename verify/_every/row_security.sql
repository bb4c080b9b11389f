--! title: Row security is enabled for every table that the track names and the API can reach, including partitions and children
--! fix: alter table ... enable row level security, with policies; or revoke all on it from anon,
--!   authenticated.

-- Also for tables without a policy: without row security a grant alone opens all rows.
with recursive named as (
  select to_regclass(n.name)::oid as oid from jsonb_array_elements_text(current_setting('rethread.named')::jsonb) as n (name)
),
family as (
  select n.oid, n.oid as top from named n where n.oid is not null
  union
  select i.inhrelid, f.top from family f join pg_catalog.pg_inherits i on i.inhparent = f.oid
)
select c.oid::regclass::text as object,
  concat_ws(', ',
    case c.relkind when 'f' then 'a foreign table has no row level security' else 'row level security is off' end,
    case when exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid) then 'its policies do nothing'
      when l.has_policies then 'the policies of the table above it do nothing' end,
    l.reached || ' may reach its rows') as detail,
  array[format('table %I.%I', s.nspname, c.relname), format('grants %I.%I', s.nspname, c.relname)] || array(
    select format('column %I.%I', s.nspname, c.relname) || '.' || a.attname from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attacl is not null) as about
from (select f.oid, array_agg(f.top) as tops from family f group by f.oid) f
join pg_catalog.pg_class c on c.oid = f.oid and not c.relrowsecurity and c.relkind in ('r', 'p', 'f')
join pg_catalog.pg_namespace s on s.oid = c.relnamespace
cross join lateral (
  select exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid or p.polrelid = any (f.tops)) as has_policies,
    (select string_agg(r.rolname, ' and ' order by r.rolname)
     from pg_catalog.pg_roles r
     where r.rolname in ('anon', 'authenticated') and has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
       and (has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
         or has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))) as reached
) l
where l.reached is not null or l.has_policies and c.relkind <> 'f'
order by 1
