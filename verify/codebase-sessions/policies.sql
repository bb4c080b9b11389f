--! title: Row security is on, with these policies and no other
--! after: 001_create_codebase_chat_sessions

select t as object, 'row level security is off' as detail
from unnest(array['codebase_chat_sessions']) t
where not coalesce((select c.relrowsecurity from pg_catalog.pg_class c where c.oid = to_regclass('public.' || t)), false)
union all
select w.name, case when p.polname is null then 'missing' else 'differs: ' || concat_ws(' ',
    case when not p.polpermissive then 'restrictive' end,
    'for ' || p.polcmd::text,
    'to ' || (select string_agg(case when r = 0 then 'public' else r::regrole::text end, ', ') from unnest(p.polroles) r),
    'using ' || pg_get_expr(p.polqual, p.polrelid),
    'with check ' || pg_get_expr(p.polwithcheck, p.polrelid)) end
from (values
  ('codebase_chat_sessions', 'codebase_chat_sessions_select', 'r', $$(user_id = ( SELECT auth.uid() AS uid))$$, $$$$),
  ('codebase_chat_sessions', 'codebase_chat_sessions_insert', 'a', $$$$, $$(user_id = ( SELECT auth.uid() AS uid))$$),
  ('codebase_chat_sessions', 'codebase_chat_sessions_update', 'w', $$(user_id = ( SELECT auth.uid() AS uid))$$, $$(user_id = ( SELECT auth.uid() AS uid))$$),
  ('codebase_chat_sessions', 'codebase_chat_sessions_delete', 'd', $$(user_id = ( SELECT auth.uid() AS uid))$$, $$$$)
) as w (rel, name, cmd, sees, checks)
left join pg_catalog.pg_policy p on p.polrelid = to_regclass('public.' || w.rel) and p.polname = w.name
where p.polname is null
  or p.polcmd::text <> w.cmd
  or not p.polpermissive
  or p.polroles <> array[(select oid from pg_catalog.pg_roles where rolname = 'authenticated')]
  or coalesce(pg_get_expr(p.polqual, p.polrelid), '') not like w.sees
  or coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') not like w.checks
union all
select p.polname::text, 'is not one of them: every permissive policy lets somebody in'
from pg_catalog.pg_policy p
where p.polrelid in (select to_regclass('public.' || t) from unnest(array['codebase_chat_sessions']) t) and p.polpermissive
  and p.polname not in ('codebase_chat_sessions_select', 'codebase_chat_sessions_insert', 'codebase_chat_sessions_update', 'codebase_chat_sessions_delete')
order by 1
