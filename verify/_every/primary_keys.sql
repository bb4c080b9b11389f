--! title: Every table of the track has its primary key
--! fix: alter table ... add primary key.

select c.oid::regclass::text as object, 'no valid primary key: rows could be there twice, and no foreign key could refer to them' as detail,
  array[format('constraints of %I.%I', s.nspname, c.relname)] as about
from jsonb_array_elements_text(current_setting('rethread.tables')::jsonb) as n (name)
join pg_catalog.pg_class c on c.oid = to_regclass(n.name) and c.relkind in ('r', 'p')
join pg_catalog.pg_namespace s on s.oid = c.relnamespace
where not exists (
  select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary and i.indisvalid)
order by 1
