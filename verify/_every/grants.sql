--! title: Each role has the expected rights on the tables, and no others
--! fix: revoke the rights that are not expected, grant those that are missing.
--! expects: grants

select distinct w.role || ' on ' || regexp_replace(t.name, '^public\.', '') as object,
  case when to_regclass(t.name) is null then 'the table is missing'
    when l.should then 'lacks ' || p.privilege else 'has ' || p.privilege end as detail
from jsonb_array_elements(current_setting('rethread.expected')::jsonb) as e (entry)
cross join jsonb_each(e.entry -> 'tables') as t (name, spec)
cross join jsonb_each(t.spec -> 'grants') as w (role, privileges)
cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as p (privilege)
left join (select rolname, oid from pg_catalog.pg_roles union all select 'public', 0) r on r.rolname = w.role
cross join lateral (
  select w.privileges ? p.privilege as should,
    coalesce(has_table_privilege(r.oid, to_regclass(t.name), p.privilege), false) as of_table,
    -- a privilege on some columns is sufficient to read, and already too much for a role that should have
    -- none
    case when p.privilege in ('delete', 'truncate', 'trigger') then false
      else coalesce(has_any_column_privilege(r.oid, to_regclass(t.name), p.privilege), false) end as of_columns
) l
where not exists (select from jsonb_array_elements(w.privileges) x (item) where jsonb_typeof(x.item) = 'object' and x.item ? p.privilege)
  and (p.privilege in ('select', 'insert', 'update', 'delete')
    -- policies do not restrict these privileges; a role that bypasses policies may have them
    or not coalesce((select b.rolbypassrls or b.rolsuper from pg_catalog.pg_roles b where b.oid = r.oid), false))
  and (l.of_table or l.of_columns and (p.privilege = 'select' or not l.should)) <> l.should
union all
-- a privilege on some columns, and on no other
select w.role || ' on ' || regexp_replace(t.name, '^public\.', ''),
  case when c.listed then 'lacks ' else 'has ' end || p.privilege || ' of ' || c.name
from jsonb_array_elements(current_setting('rethread.expected')::jsonb) as e (entry)
cross join jsonb_each(e.entry -> 'tables') as t (name, spec)
cross join jsonb_each(t.spec -> 'grants') as w (role, privileges)
cross join jsonb_array_elements(w.privileges) as x (item)
cross join jsonb_each(case jsonb_typeof(x.item) when 'object' then x.item else '{}' end) as p (privilege, columns)
left join (select rolname, oid from pg_catalog.pg_roles union all select 'public', 0) r on r.rolname = w.role
cross join lateral (
  select coalesce(a.attname::text, l.name) as name, l.name is not null as listed,
    coalesce(has_column_privilege(r.oid, a.attrelid, a.attnum, p.privilege), false) as may
  from jsonb_array_elements_text(p.columns) as l (name)
  full join (
    select a.attrelid, a.attnum, a.attname from pg_catalog.pg_attribute a
    where a.attrelid = to_regclass(t.name) and a.attnum > 0 and not a.attisdropped) a on a.attname = l.name
) c
where c.listed <> c.may
order by 1, 2
