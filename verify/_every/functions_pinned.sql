--! title: SECURITY DEFINER functions set their search_path, and anon may not call them
--! fix: alter function ... set search_path = pg_catalog, pg_temp; revoke execute on function ... from anon, public.
--! mutant: create function chat_private.mutant() returns int language sql security definer as 'select 1'

select f.oid::regprocedure::text as object,
  concat_ws('; ',
    case
      when w.path is null then 'SECURITY DEFINER without a search_path of its own: who calls it chooses what its names mean'
      when w.is_open then 'SECURITY DEFINER with a search_path that does not end with pg_temp: who calls it chooses what its types mean' end,
    case when anon.oid is not null and has_function_privilege(anon.oid, f.oid, 'EXECUTE')
        and has_schema_privilege(anon.oid, f.pronamespace, 'USAGE') and f.prorettype <> 'trigger'::regtype
      then 'anon may call it' end) as detail,
  array[format('function %I.%I(%s)', s.nspname, f.proname, oidvectortypes(f.proargtypes))] as about
from pg_catalog.pg_proc f
join pg_catalog.pg_namespace s on s.oid = f.pronamespace
left join pg_catalog.pg_roles anon on anon.rolname = 'anon'
-- The temporary schema comes first unless it is named, even if the path is empty. A domain there with the
-- name of a type could run its CHECK with the owner's rights.
cross join lateral (
  select path, path !~ '(^|[ ,])pg_temp$' and f.pronamespace = to_regnamespace('chat_private') as is_open
  from (select (select substr(s, 13) from unnest(f.proconfig) s where s like 'search_path=%') as path) p
) w
where f.prosecdef
  and (f.pronamespace = to_regnamespace('chat_private')
    or f.oid in (
      select t.tgfoid from pg_catalog.pg_trigger t
      where not t.tgisinternal
        and t.tgrelid in (select to_regclass(name) from jsonb_array_elements_text(current_setting('rethread.tables')::jsonb) as n (name))))
  and (w.path is null or w.is_open
    or anon.oid is not null and has_function_privilege(anon.oid, f.oid, 'EXECUTE')
      and has_schema_privilege(anon.oid, f.pronamespace, 'USAGE') and f.prorettype <> 'trigger'::regtype)
order by 1
