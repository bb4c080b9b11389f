--! title: No conversation waits in the quarantine
--! level: warn
--! after: 018_sessions_of_conversations

select q.reason as object, format('%s conversation(s) in rethread_archive.quarantine', count(distinct q.key)) as detail
from rethread_archive.quarantine q
join public.conversations c on c.id::text = q.key
where q.track = 'trip-sessions' and q.relation = 'public.conversations'
  and not exists (select from public.chat_sessions s where s.conversation_id = c.id)
group by q.reason
order by 1
