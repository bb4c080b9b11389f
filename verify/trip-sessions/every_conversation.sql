--! title: Every conversation has a session, or stands in the quarantine with a reason
--! after: 018_sessions_of_conversations

select c.id::text as object, 'no session: the application calls create_or_update_chat_session when a conversation starts' as detail
from public.conversations c
where not exists (select from public.chat_sessions s where s.conversation_id = c.id)
  and not exists (
    select from rethread_archive.quarantine q where q.relation = 'public.conversations' and q.key = c.id::text)
order by 1
