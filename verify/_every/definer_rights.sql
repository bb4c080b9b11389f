--! title: SECURITY DEFINER functions see every row, also where row level security is forced
--! fix: Run the SQL in the line as an administrator.
--! mutant: create schema if not exists chat_private; create function chat_private.mutant() returns int language sql security definer set search_path = pg_catalog, pg_temp set row_security = off as 'select 1'; alter function chat_private.mutant() owner to authenticated

-- Such a function fails if row level security applies to its owner, and with it the policy or trigger that
-- calls it.
with tables as (
  select to_regclass(n.name)::oid as oid from jsonb_array_elements_text(current_setting('rethread.tables')::jsonb) as n (name)
  union
  select t.tgrelid from pg_catalog.pg_trigger t
  join pg_catalog.pg_proc f on f.oid = t.tgfoid and f.pronamespace = to_regnamespace('chat_private')
  union
  select k.confrelid from pg_catalog.pg_constraint k
  where k.contype = 'f' and k.conrelid in (select to_regclass(n.name) from jsonb_array_elements_text(current_setting('rethread.tables')::jsonb) as n (name))
)
select c.oid::regclass::text as object,
  format('row level security hides rows from %1$I, with whose rights functions act (%2$s, such as %3$s): alter role %1$I bypassrls%4$s',
    o.rolname, count(*), min(f.oid::regprocedure::text),
    case when c.relforcerowsecurity and pg_has_role(o.oid, c.relowner, 'usage')
      then format(', or alter table %s no force row level security', c.oid::regclass) else '' end) as detail
from pg_catalog.pg_proc f
join pg_catalog.pg_roles o on o.oid = f.proowner and not o.rolsuper and not o.rolbypassrls
cross join tables t
join pg_catalog.pg_class c on c.oid = t.oid and c.relrowsecurity
where f.prosecdef and 'row_security=off' = any (f.proconfig) and f.pronamespace = to_regnamespace('chat_private')
  and (c.relforcerowsecurity or not pg_has_role(o.oid, c.relowner, 'usage'))
group by c.oid, c.relforcerowsecurity, c.relowner, o.oid, o.rolname
order by 1
