--! title: A session belongs to the agent of its request, and counts no more than there is
--! after: 018_sessions_of_conversations
--! mutant: update public.chat_sessions set status = 'completed' where id = (select id from public.chat_sessions order by id limit 1)

select s.id::text as object, 'its agent is not the agent of its request' as detail
from public.chat_sessions s join public.requests r on r.id = s.request_id
where r.iso_agent_id is not null and r.iso_agent_id <> s.iso_agent_id
union all
select s.id::text, 'its conversation does not exist'
from public.chat_sessions s where not exists (select from public.conversations c where c.id = s.conversation_id)
union all
select s.id::text, 'it is over and has no end'
from public.chat_sessions s where s.status in ('completed', 'archived') and s.session_ended_at is null
order by 1
