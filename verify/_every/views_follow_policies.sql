--! title: No view shows the API rows that the policies of its tables would hide
--! fix: alter view … set (security_invoker = on), or revoke all on it from anon, authenticated.

select v.oid::regclass::text as object,
  case when v.relkind = 'm' then 'a materialized view of ' else 'a view without security_invoker of ' end
    || string_agg(distinct n.name, ', ') || ' that ' || string_agg(distinct r.rolname, ', ') || ' may read' as detail
from jsonb_array_elements_text(current_setting('rethread.tables')::jsonb) as n (name)
join pg_catalog.pg_class c on c.oid = to_regclass(n.name) and c.relrowsecurity
join pg_catalog.pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid
join pg_catalog.pg_rewrite w on w.oid = d.objid and d.classid = 'pg_rewrite'::regclass
join pg_catalog.pg_class v on v.oid = w.ev_class and v.relkind in ('v', 'm')
join pg_catalog.pg_roles r on r.rolname in ('anon', 'authenticated')
where has_table_privilege(r.oid, v.oid, 'SELECT')
  and has_schema_privilege(r.oid, v.relnamespace, 'USAGE')
  and (v.relkind = 'm' or coalesce(
    (select o.option_value::boolean from pg_options_to_table(v.reloptions) o where o.option_name = 'security_invoker'), false) is false)
group by v.oid, v.relkind
order by 1
