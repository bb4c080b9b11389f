--! title: Every message has a session, or stands in the quarantine with a reason
--! after: 005_assign_messages
--! gate: 006_index_and_constrain

select c.id::text as object,
  format('no session, workspace %s, not in the quarantine', coalesce(c.workspace_id::text, 'null')) as detail
from public.chats c
where c.session_id is null
  and not exists (
    select from rethread_archive.quarantine q where q.relation = 'public.chats' and q.key = chat_private.message_key(c))
order by 1
