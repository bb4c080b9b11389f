--! title: No session of one workspace holds a message of another
--! after: 005_assign_messages

select c.id::text as object, format('message of workspace %s in a session of workspace %s', c.workspace_id, s.workspace_id) as detail
from public.chats c
join public.chat_sessions s on s.id = c.session_id
where c.workspace_id is not null and c.workspace_id <> s.workspace_id
