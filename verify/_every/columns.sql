--! title: The columns have the expected types, nullability and defaults
--! fix: Change the column to what `rethread verify` expects: alter table ... add column, or alter
--!   column ... type, set default, set not null.
--! expects: columns

select regexp_replace(t.name, '^public\.', '') || '.' || w.name as object,
  case when a.attname is null then 'missing' else format('is %s, should be %s', l.has, l.should) end as detail
from jsonb_array_elements(current_setting('rethread.expected')::jsonb) as e (entry)
cross join jsonb_each(e.entry -> 'tables') as t (name, spec)
cross join jsonb_each(t.spec -> 'columns') as w (name, spec)
left join pg_catalog.pg_attribute a
  on a.attrelid = to_regclass(t.name) and a.attname = w.name and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
cross join lateral (
  select format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end
      || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as has,
    (w.spec ->> 'type') || case when (w.spec -> 'nullable')::boolean then '' else ' not null' end
      || coalesce(' default ' || (w.spec ->> 'default'), '') as should
) l
where a.attname is null or l.has <> l.should
order by 1
