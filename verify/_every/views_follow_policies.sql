--! title: No view or foreign table shows the API rows that the policies of its tables hide
--! fix: alter view ... set (security_invoker = on), or revoke all on it from anon, authenticated.

-- Also through other views: each view without security_invoker reads the relations below it as its owner.
with recursive below as (
  select c.oid, c.oid as relation from jsonb_array_elements_text(current_setting('rethread.named')::jsonb) as n (name)
  join pg_catalog.pg_class c on c.oid = to_regclass(n.name) and c.relrowsecurity
  union
  select b.oid, w.ev_class from below b
  join pg_catalog.pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = b.relation and d.classid = 'pg_rewrite'::regclass
  join pg_catalog.pg_rewrite w on w.oid = d.objid and w.ev_class <> b.relation
)
select v.oid::regclass::text as object,
  case when v.relkind = 'm' then 'a materialized view of ' else 'a view without security_invoker of ' end
    || string_agg(distinct b.oid::regclass::text, ', ') || ' that ' || string_agg(distinct r.rolname, ', ') || ' may use' as detail,
  array[format('view %I.%I', s.nspname, v.relname), format('table %I.%I', s.nspname, v.relname), format('grants %I.%I', s.nspname, v.relname)] as about
from below b
join pg_catalog.pg_class v on v.oid = b.relation and v.relkind in ('v', 'm')
join pg_catalog.pg_namespace s on s.oid = v.relnamespace
join pg_catalog.pg_roles r on r.rolname in ('anon', 'authenticated')
where (has_any_column_privilege(r.oid, v.oid, 'SELECT')
    or v.relkind = 'v' and (has_table_privilege(r.oid, v.oid, 'DELETE') or has_any_column_privilege(r.oid, v.oid, 'INSERT, UPDATE')))
  and has_schema_privilege(r.oid, v.relnamespace, 'USAGE')
  and (v.relkind = 'm' or coalesce(
    (select o.option_value::boolean from pg_options_to_table(v.reloptions) o where o.option_name = 'security_invoker'), false) is false)
group by v.oid, v.relkind, v.relname, s.nspname
union all
select f.ftrelid::regclass::text,
  format('a foreign table of server %I, which leads back to %s in this database as the user of its mapping; %s may read it',
    v.srvname, c.oid::regclass, string_agg(distinct r.rolname, ', ')),
  array[format('table %I.%I', s.nspname, t.relname), format('grants %I.%I', s.nspname, t.relname)]
from pg_catalog.pg_foreign_table f
join pg_catalog.pg_foreign_server v on v.oid = f.ftserver
join pg_catalog.pg_class t on t.oid = f.ftrelid
join pg_catalog.pg_namespace s on s.oid = t.relnamespace
join jsonb_array_elements_text(current_setting('rethread.named')::jsonb) as n (name) on true
join pg_catalog.pg_class c on c.oid = to_regclass(n.name) and c.relrowsecurity
join pg_catalog.pg_roles r on r.rolname in ('anon', 'authenticated')
where has_any_column_privilege(r.oid, t.oid, 'SELECT') and has_schema_privilege(r.oid, t.relnamespace, 'USAGE')
  and c.relname = coalesce((select o.option_value from pg_options_to_table(f.ftoptions) o where o.option_name = 'table_name'), t.relname)
  and current_database() = coalesce((select o.option_value from pg_options_to_table(v.srvoptions) o where o.option_name = 'dbname'), current_database())
group by f.ftrelid, v.srvname, c.oid, s.nspname, t.relname
order by 1
