--! title: chat_sessions has row security on, and its four policies
--! after: 001_create_chat_sessions

select 'chat_sessions' as object, 'row level security is off' as detail
where not (select relrowsecurity from pg_catalog.pg_class where oid = to_regclass('public.chat_sessions'))
union all
select w.name, case when p.polname is null then 'missing' else 'differs: ' || concat_ws(' ',
    case when not p.polpermissive then 'restrictive' end,
    'for ' || p.polcmd::text,
    'to ' || (select string_agg(r::regrole::text, ', ') from unnest(p.polroles) r),
    'using ' || pg_get_expr(p.polqual, p.polrelid),
    'with check ' || pg_get_expr(p.polwithcheck, p.polrelid)) end
from (values
  ('chat_sessions_select', 'r', true, false),
  ('chat_sessions_insert', 'a', false, true),
  ('chat_sessions_update', 'w', true, true),
  ('chat_sessions_delete', 'd', true, false)
) as w (name, cmd, sees, checks)
left join pg_catalog.pg_policy p
  on p.polrelid = to_regclass('public.chat_sessions') and p.polname = w.name
where p.polname is null
  or p.polcmd::text <> w.cmd
  or not p.polpermissive
  or p.polroles <> array[(select oid from pg_catalog.pg_roles where rolname = 'authenticated')]
  or w.sees and coalesce(pg_get_expr(p.polqual, p.polrelid), '') not like '%user_id = %auth.uid()%can_use_workspace(workspace_id)%'
  or w.checks and coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') not like '%user_id = %auth.uid()%can_use_workspace(workspace_id)%'
union all
select p.polname::text, 'is not one of the four: every permissive policy lets somebody in'
from pg_catalog.pg_policy p
where p.polrelid = to_regclass('public.chat_sessions') and p.polpermissive
  and p.polname not in ('chat_sessions_select', 'chat_sessions_insert', 'chat_sessions_update', 'chat_sessions_delete')
order by 1
