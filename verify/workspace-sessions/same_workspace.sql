--! title: The session of every message exists, and is of the message's workspace
--! after: 005_assign_messages

-- The one pass over all messages: the foreign key is re-proved along with it. An anti-join of two columns, of which the
-- server expects few rows, is one that it gives to several workers. A message without a workspace is in nobody else's.
select c.id::text as object,
  case when s.id is null then format('its session %s does not exist', c.session_id)
    else format('message of workspace %s in a session of workspace %s', c.workspace_id, s.workspace_id) end as detail
from public.chats c
left join public.chat_sessions s on s.id = c.session_id
where c.session_id is not null
  and not exists (
    select from public.chat_sessions o where o.id = c.session_id and o.workspace_id = c.workspace_id)
  and (c.workspace_id is not null or s.id is null)
