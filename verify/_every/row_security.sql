--! title: Row security is on for every table of the track, its partitions included
--! fix: alter table … enable row level security, with policies; or revoke all on it from anon,
--!   authenticated.

select c.oid::regclass::text as object,
  case when exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid)
    then 'row level security is off, and its policies do nothing'
    else 'row level security is off' end as detail
from jsonb_array_elements_text(current_setting('rethread.tables')::jsonb) as n (name)
cross join lateral (
  select to_regclass(n.name)::oid as oid
  union
  select t.relid from pg_catalog.pg_partition_tree(to_regclass(n.name)) t
) r
join pg_catalog.pg_class c on c.oid = r.oid
where not c.relrowsecurity and c.relkind in ('r', 'p')
  -- a table that the application reads as it did before, and that no policy was written for yet
  and exists (
    select from pg_catalog.pg_policy p
    where p.polrelid = c.oid or p.polrelid = to_regclass(n.name))
order by 1
