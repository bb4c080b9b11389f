--! title: Every session belongs to the agent of its conversation, request, quote and proposal
--! fix: Correct the link that is named in the session, or the agent of the request.
--! after: 018_sessions_of_conversations
--! mutant: update public.chat_sessions set status = 'completed' where id = (select id from public.chat_sessions order by id limit 1)

select s.id::text as object, 'its agent is not the agent of its request' as detail
from public.chat_sessions s join public.requests r on r.id = s.request_id
where r.iso_agent_id is not null and r.iso_agent_id <> s.iso_agent_id
union all
select s.id::text, 'its agent is not the agent of its conversation'
from public.chat_sessions s join public.conversations c on c.id = s.conversation_id join public.requests r on r.id = c.request_id
where r.iso_agent_id is not null and r.iso_agent_id <> s.iso_agent_id
union all
select s.id::text, 'its quote is of a request of another agent'
from public.chat_sessions s join public.quotes q on q.id = s.primary_quote_id join public.requests r on r.id = q.request_id
where r.iso_agent_id is not null and r.iso_agent_id <> s.iso_agent_id
union all
select s.id::text, 'its proposal is of a request of another agent'
from public.chat_sessions s join public.proposals p on p.id = s.proposal_id join public.requests r on r.id = p.request_id
where r.iso_agent_id is not null and r.iso_agent_id <> s.iso_agent_id
union all
select s.id::text, 'its conversation does not exist'
from public.chat_sessions s where not exists (select from public.conversations c where c.id = s.conversation_id)
union all
select s.id::text, 'it is over and has no end'
from public.chat_sessions s where s.status in ('completed', 'archived') and s.session_ended_at is null
order by 1
