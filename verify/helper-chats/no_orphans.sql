--! title: Every message has a session, every session has its user and project, and no thread is in two sessions
--! fix: Restore the missing row (rethread restore, or a backup), or delete what refers to it.
--! after: 001_create_chat_tables
--! mutant: set local session_replication_role = replica;
--!   insert into public.chat_messages (session_id, role, content) values (gen_random_uuid(), 'user', 'a mutant');
--!   set local session_replication_role = origin

select 'chat_messages ' || m.id as object, 'its session does not exist' as detail
from public.chat_messages m where not exists (select from public.chat_sessions s where s.id = m.session_id)
union all
select 'chat_sessions ' || s.id, 'its user does not exist'
from public.chat_sessions s where not exists (select from auth.users u where u.id = s.user_id)
union all
select 'chat_sessions ' || s.id, 'its project does not exist'
from public.chat_sessions s
where s.project_id is not null and not exists (select from public.projects p where p.id = s.project_id)
union all
select 'thread ' || s.thread_id, format('%s sessions have it', count(*))
from public.chat_sessions s where s.thread_id is not null group by s.thread_id having count(*) > 1
union all
select 'chat_sessions ' || s.id, 'its thread id is blank'
from public.chat_sessions s where s.thread_id !~ '\S'
order by 1
