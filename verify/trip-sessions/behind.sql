--! title: No session waits for a recount
--! fix: rethread backfill recounts these sessions.
--! after: 018_sessions_of_conversations
--! mutant: insert into chat_private.behind (conversation_id, operation, sqlstate)
--!   select conversation_id, 'INSERT of messages', '55P03' from public.chat_sessions limit 1

-- `rethread migrate` and `rethread backfill` recount these; so does the next write to each of them.
select format('%s %s', case when b.conversation_id is null then 'request' else 'conversation' end, coalesce(b.conversation_id::text, b.request_id::text)) as object,
  format('%s, count: %s, SQLSTATE %s', b.operation, count(*), coalesce(min(b.sqlstate), 'none')) as detail
from chat_private.behind b
where exists (select from public.chat_sessions s where s.conversation_id = b.conversation_id)
  or exists (select from public.chat_sessions s where s.request_id = b.request_id)
group by b.conversation_id, b.request_id, b.operation
order by 1, 2
