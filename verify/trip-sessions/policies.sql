--! title: Row security is on, with these policies and no other
--! after: 017_create_chat_sessions

select t as object, 'row level security is off' as detail
from unnest(array['chat_sessions']) t
where not coalesce((select c.relrowsecurity from pg_catalog.pg_class c where c.oid = to_regclass('public.' || t)), false)
union all
select w.name, case when p.polname is null then 'missing' else 'differs: ' || concat_ws(' ',
    case when not p.polpermissive then 'restrictive' end,
    'for ' || p.polcmd::text,
    'to ' || (select string_agg(case when r = 0 then 'public' else r::regrole::text end, ', ') from unnest(p.polroles) r),
    'using ' || pg_get_expr(p.polqual, p.polrelid),
    'with check ' || pg_get_expr(p.polwithcheck, p.polrelid)) end
from (values
  ('chat_sessions', 'chat_sessions_select', 'r', $$(iso_agent_id = ( SELECT chat_private.current_agent_id() AS current_agent_id))$$, $$$$),
  ('chat_sessions', 'chat_sessions_insert', 'a', $$$$, $$((iso_agent_id = ( SELECT chat_private.current_agent_id() AS current_agent_id)) AND chat_private.can_use_request(request_id))$$),
  ('chat_sessions', 'chat_sessions_update', 'w', $$(iso_agent_id = ( SELECT chat_private.current_agent_id() AS current_agent_id))$$, $$((iso_agent_id = ( SELECT chat_private.current_agent_id() AS current_agent_id)) AND chat_private.can_use_request(request_id))$$),
  ('chat_sessions', 'chat_sessions_delete', 'd', $$(iso_agent_id = ( SELECT chat_private.current_agent_id() AS current_agent_id))$$, $$$$)
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
where p.polrelid in (select to_regclass('public.' || t) from unnest(array['chat_sessions']) t) and p.polpermissive
  and p.polname not in ('chat_sessions_select', 'chat_sessions_insert', 'chat_sessions_update', 'chat_sessions_delete')
order by 1
