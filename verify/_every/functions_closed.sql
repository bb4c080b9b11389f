--! title: No function gives the API access past the policies of the tables that the track names
--! fix: revoke execute on function ... from public, anon, authenticated; or let it compare the rows with
--!   (select auth.uid()), or make it security invoker.

-- Only functions with their owner's rights can open access: any other sees what its caller sees. A function
-- reads relations itself, or through functions that it calls. Dynamic SQL is not analyzed.
with recursive named as (
  select c.oid, c.relowner, c.relrowsecurity, c.relforcerowsecurity,
    '\m(from|join|into|update|only|table|using)\s+(only\s+)?("?' || s.nspname || '"?\s*\.\s*)?"?'
      || regexp_replace(c.relname, '([^[:alnum:]_])', '\\\1', 'g') || '"?(?![[:alnum:]_$])' as pattern
  from jsonb_array_elements_text(current_setting('rethread.named')::jsonb) as n (name)
  join pg_catalog.pg_class c on c.oid = to_regclass(n.name)
  join pg_catalog.pg_namespace s on s.oid = c.relnamespace
),
body as materialized (
  select f.oid, f.proname, f.proowner, f.prosecdef, f.pronamespace, f.prorettype,
    f.prosrc || coalesce(pg_get_function_sqlbody(f.oid), '') as text,
    lower(substring(f.proname from '[[:alnum:]_$]+$')) as word,
    '\m' || regexp_replace(f.proname, '([^[:alnum:]_])', '\\\1', 'g') || '"?\s*\(' as called
  from pg_catalog.pg_proc f
  join pg_catalog.pg_language l on l.oid = f.prolang and l.lanname not in ('internal', 'c')
  where f.prokind in ('f', 'p')
    and f.pronamespace not in (select s.oid from pg_catalog.pg_namespace s
      where s.nspname ~ '^pg_' or s.nspname in ('information_schema', 'rethread', 'rethread_archive'))
    and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e')
),
-- by the words before a parenthesis, so that each body is read only once
calls (caller, callee) as materialized (
  select w.oid, c.oid
  from (
    select distinct b.oid, lower(m[1]) as word
    from body b cross join lateral regexp_matches(b.text, '([[:alnum:]_$]+)"?\s*\(', 'g') m
  ) w
  join body c on c.oid <> w.oid and c.word = w.word
  union
  select b.oid, c.oid from body c join body b on b.oid <> c.oid and b.text ~* c.called
  where c.word is null
),
reads (oid, relation) as (
  select b.oid, n.oid from body b join named n on b.text ~* n.pattern
  union
  -- the second condition only improves the estimate. Without it the planner expects millions of rows and
  -- reserves memory for them, which takes ten times as long as everything else
  select k.caller, r.relation from reads r join calls k on k.callee = r.oid and k.callee is not distinct from r.oid
),
asks (oid) as (
  select b.oid from body b where b.text ~* '\mauth\.(uid|jwt|role|email)\s*\(|request\.jwt|\mcurrent_setting\s*\(|\m(session_user|current_user)\M'
  union
  select k.caller from asks a join calls k on k.callee = a.oid
  where k.caller in (select r.oid from reads r)
)
select f.oid::regprocedure::text as object,
  format('reads or writes %s with the rights of %I without checking who calls it; %s may call it',
    string_agg(distinct n.oid::regclass::text, ', '), o.rolname, string_agg(distinct a.rolname, ' and ')) as detail,
  array[format('function %I.%I(%s)', s.nspname, f.proname, oidvectortypes((select p.proargtypes from pg_catalog.pg_proc p where p.oid = f.oid)))] as about
from body f
join pg_catalog.pg_namespace s on s.oid = f.pronamespace
join pg_catalog.pg_roles o on o.oid = f.proowner
join reads r on r.oid = f.oid
join named n on n.oid = r.relation
join pg_catalog.pg_roles a on a.rolname in ('anon', 'authenticated')
where f.prosecdef and f.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
  and f.oid not in (select oid from asks)
  and has_function_privilege(a.oid, f.oid, 'EXECUTE') and has_schema_privilege(a.oid, f.pronamespace, 'USAGE')
  -- the owner sees rows that the caller does not
  and case when n.relrowsecurity
      then o.rolsuper or o.rolbypassrls or pg_has_role(o.oid, n.relowner, 'USAGE') and not n.relforcerowsecurity
      else not has_table_privilege(a.oid, n.oid, 'SELECT') end
group by f.oid, f.proname, s.nspname, o.rolname
order by 1
