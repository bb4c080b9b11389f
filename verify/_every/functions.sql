--! title: The functions exist as their migrations create them, have a fixed search_path, and are not open to everybody
--! fix: Run the statements of the function again from its migration: create or replace function, then
--!   revoke all ... from public.
--! expects: functions

select w.name as object,
  case when f.oid is null then 'missing' else concat_ws(', ',
    case when f.prosecdef <> l.definer then case when l.definer then 'not security definer' else 'security definer' end end,
    case when not l.pinned then 'its search_path is neither pg_catalog, pg_temp nor empty' end,
    case when l.open then 'public may execute it' end,
    case when l.altered then 'its body is not that of its migration' end) end as detail
from jsonb_array_elements(current_setting('rethread.expected')::jsonb) as e (entry)
cross join jsonb_each(e.entry -> 'functions') as w (name, spec)
left join (pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace)
  on array[n.nspname, f.proname]::text[] = parse_ident(w.name)
cross join lateral (select nullif(current_setting('rethread.bodies', true), '')::jsonb -> w.name as list) b
cross join lateral (
  select w.spec ->> 'security' = 'definer' as definer,
    coalesce(f.proconfig && array['search_path=pg_catalog, pg_temp', 'search_path=""'], false) as pinned,
    coalesce(has_function_privilege('public', f.oid, 'execute'), false) as open,
    -- a body that only differs in white space is the same
    b.list is not null and not exists (
      select from jsonb_array_elements_text(b.list) as m (body)
      where regexp_replace(m.body, '\s+', ' ', 'g') = regexp_replace(f.prosrc, '\s+', ' ', 'g')) as altered
) l
where f.oid is null or f.prosecdef <> l.definer or not l.pinned or l.open or l.altered
order by 1
