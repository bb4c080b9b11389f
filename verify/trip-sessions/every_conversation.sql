--! title: Every conversation has a session, was pruned, or is in the quarantine with a reason
--! fix: rethread backfill gives these conversations their session.
--! after: 018_sessions_of_conversations
--! mutant: set local session_replication_role = replica;
--!   delete from public.chat_sessions where conversation_id = (select conversation_id from public.chat_sessions order by conversation_id::text limit 1);
--!   set local session_replication_role = origin

select c.id::text as object, 'no session: the application calls create_or_update_chat_session when a conversation starts' as detail
from public.conversations c
where not exists (select from public.chat_sessions s where s.conversation_id = c.id)
  and not exists (select from chat_private.pruned p where p.conversation_id = c.id)
  and not exists (
    select from rethread_archive.quarantine q where q.relation = 'public.conversations' and q.key = c.id::text)
order by 1
