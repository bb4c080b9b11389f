--! title: The indexes exist, are valid and have the expected definition
--! fix: drop index concurrently the invalid or different one, then run its create index concurrently again
--!   from the migration.
--! expects: indexes

select w.name as object,
  case
    when i.indexrelid is null then 'missing'
    when not (i.indisvalid and i.indisready) then 'invalid: drop it and create it again'
    else 'is ' || pg_get_indexdef(i.indexrelid) || ', should be '
      || case when l.is_unique then 'unique ' else '' end || l.should
  end as detail
from jsonb_array_elements(current_setting('rethread.expected')::jsonb) as e (entry)
cross join jsonb_each(e.entry -> 'tables') as t (name, spec)
cross join jsonb_each(t.spec -> 'indexes') as w (name, spec)
left join (pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid)
  on i.indrelid = to_regclass(t.name) and c.relname = w.name
cross join lateral (
  select coalesce((w.spec -> 'unique')::boolean, false) as is_unique,
    (w.spec ->> 'definition') || coalesce(' WHERE ' || (w.spec ->> 'where'), '') as should
) l
where i.indexrelid is null
  or not (i.indisvalid and i.indisready)
  or i.indisunique <> l.is_unique
  or substring(pg_get_indexdef(i.indexrelid) from ' USING (.*)$') <> l.should
order by 1
