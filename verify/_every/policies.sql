--! title: Row security is enabled, with the expected policies and no others
--! fix: alter table ... enable row level security; drop policy the one that is named, and create it again
--!   from its migration.
--! expects: policies

with expected as (
  select t.name, t.spec, to_regclass(t.name) as rel
  from jsonb_array_elements(current_setting('rethread.expected')::jsonb) as e (entry)
  cross join jsonb_each(e.entry -> 'tables') as t (name, spec)
  where t.spec ? 'policies'
), actual as (
  select p.polrelid, p.polname, p.polpermissive as permissive,
    case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
    array(
      select coalesce((select r.rolname::text from pg_catalog.pg_roles r where r.oid = o), 'public')
      from unnest(p.polroles) o order by 1) as roles,
    coalesce(pg_get_expr(p.polqual, p.polrelid), '') as sees,
    coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') as checks
  from pg_catalog.pg_policy p
  where p.polrelid in (select rel from expected)
)
select regexp_replace(x.name, '^public\.', '') as object, 'row level security is off' as detail
from expected x
where not coalesce((select c.relrowsecurity from pg_catalog.pg_class c where c.oid = x.rel), false)
union
select w.name, case when a.polname is null then 'missing' else 'differs: ' || concat_ws(' ',
    case when not a.permissive then 'restrictive' end,
    'for ' || a.command,
    'to ' || array_to_string(a.roles, ', '),
    'using ' || nullif(a.sees, ''),
    'with check ' || nullif(a.checks, '')) end
from expected x
cross join jsonb_each(x.spec -> 'policies') as w (name, spec)
left join actual a on a.polrelid = x.rel and a.polname = w.name
where a.polname is null
  or a.command <> w.spec ->> 'command'
  or a.permissive <> coalesce((w.spec -> 'permissive')::boolean, true)
  or a.roles <> array(select r from jsonb_array_elements_text(w.spec -> 'roles') r order by 1)
  or a.sees not like coalesce(w.spec ->> 'using', '')
  or a.checks not like coalesce(w.spec ->> 'check', '')
union
select a.polname::text, 'is not expected: every permissive policy gives somebody access'
from actual a
where a.permissive
  and not exists (
    select from expected x
    where x.rel = a.polrelid and (x.spec -> 'policies' ? a.polname::text or (x.spec -> 'otherPolicies')::boolean))
order by 1
