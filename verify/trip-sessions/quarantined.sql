--! title: No conversation is in the quarantine
--! fix: rethread quarantine shows the conversations and what can be done with them.
--! level: warn
--! after: 018_sessions_of_conversations
--! mutant: set local session_replication_role = replica;
--!   delete from public.chat_sessions where conversation_id = (select conversation_id from public.chat_sessions order by conversation_id::text limit 1);
--!   insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
--!   select 'trip-sessions', '018_sessions_of_conversations', 'public.conversations', c.id::text, 'a mutant', '{}' from public.conversations c
--!   where not exists (select from public.chat_sessions s where s.conversation_id = c.id) on conflict do nothing;
--!   set local session_replication_role = origin

select q.reason as object, format('conversations in rethread_archive.quarantine: %s', count(distinct q.key)) as detail
from rethread_archive.quarantine q
join public.conversations c on c.id::text = q.key
where q.track = 'trip-sessions' and q.relation = 'public.conversations'
  and not exists (select from public.chat_sessions s where s.conversation_id = c.id)
group by q.reason
order by 1
