--! title: Messages follow the policies of their session
--! after: 011_follow_the_session

select 'chats' as object, 'row level security is off' as detail
where not (select relrowsecurity from pg_catalog.pg_class where oid = to_regclass('public.chats'))
union all
select w.name, 'missing, or not for authenticated, or does not look at the session'
from (values ('chats_select', 'r'), ('chats_insert', 'a'), ('chats_update', 'w'), ('chats_delete', 'd')) as w (name, cmd)
where not exists (
  select from pg_catalog.pg_policy p
  where p.polrelid = to_regclass('public.chats') and p.polname = w.name and p.polcmd::text = w.cmd
    and p.polroles = array[(select oid from pg_catalog.pg_roles where rolname = 'authenticated')]
    and (w.cmd = 'a' or pg_get_expr(p.polqual, p.polrelid) like '%chat_sessions%auth.uid()%')
    and (w.cmd in ('r', 'd') or pg_get_expr(p.polwithcheck, p.polrelid) like '%chat_sessions%auth.uid()%workspace_id%'))
order by 1
