--! title: Row security is on, with these policies and no other
--! after: 001_create_chat_tables

select t as object, 'row level security is off' as detail
from unnest(array['chat_sessions', 'chat_messages']) t
where not coalesce((select c.relrowsecurity from pg_catalog.pg_class c where c.oid = to_regclass('public.' || t)), false)
union all
select w.name, case when p.polname is null then 'missing' else 'differs: ' || concat_ws(' ',
    case when not p.polpermissive then 'restrictive' end,
    'for ' || p.polcmd::text,
    'to ' || (select string_agg(case when r = 0 then 'public' else r::regrole::text end, ', ') from unnest(p.polroles) r),
    'using ' || pg_get_expr(p.polqual, p.polrelid),
    'with check ' || pg_get_expr(p.polwithcheck, p.polrelid)) end
from (values
  ('chat_sessions', 'chat_sessions_select', 'r', $$(user_id = ( SELECT auth.uid() AS uid))$$, $$$$),
  ('chat_sessions', 'chat_sessions_insert', 'a', $$$$, $$((user_id = ( SELECT auth.uid() AS uid)) AND chat_private.can_use_project(project_id))$$),
  ('chat_sessions', 'chat_sessions_update', 'w', $$(user_id = ( SELECT auth.uid() AS uid))$$, $$((user_id = ( SELECT auth.uid() AS uid)) AND chat_private.can_use_project(project_id))$$),
  ('chat_sessions', 'chat_sessions_delete', 'd', $$(user_id = ( SELECT auth.uid() AS uid))$$, $$$$),
  ('chat_messages', 'chat_messages_select', 'r', $$%s.id = chat_messages.session_id%s.user_id = %auth.uid()%$$, $$$$),
  ('chat_messages', 'chat_messages_insert', 'a', $$$$, $$%s.id = chat_messages.session_id%s.user_id = %auth.uid()%$$),
  ('chat_messages', 'chat_messages_update', 'w', $$%s.id = chat_messages.session_id%s.user_id = %auth.uid()%$$, $$%s.id = chat_messages.session_id%s.user_id = %auth.uid()%$$),
  ('chat_messages', 'chat_messages_delete', 'd', $$%s.id = chat_messages.session_id%s.user_id = %auth.uid()%$$, $$$$)
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
where p.polrelid in (select to_regclass('public.' || t) from unnest(array['chat_sessions', 'chat_messages']) t) and p.polpermissive
  and p.polname not in ('chat_sessions_select', 'chat_sessions_insert', 'chat_sessions_update', 'chat_sessions_delete', 'chat_messages_select', 'chat_messages_insert', 'chat_messages_update', 'chat_messages_delete')
order by 1
