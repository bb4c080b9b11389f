--! title: Give every conversation that lacks one a session
--! phase: backfill
--! undone-by: 017_create_chat_sessions
--! requires: column public.conversations.request_id uuid, column public.conversations.subject,
--!   column public.requests.created_at timestamptz|timestamp|date, column public.requests.departure_airport,
--!   column public.requests.arrival_airport, column public.messages.id uuid, column public.messages.sender,
--!   column public.messages.content
--! table: public.conversations
--! unit: id
--! pending: not exists (select from public.chat_sessions s where s.conversation_id = c.id)
--! reason: case
--!   when not exists (select from public.requests r where r.id = c.request_id) then 'it has no request to take its agent from'
--!   when not exists (select from public.requests r join public.iso_agents a on a.id = r.iso_agent_id where r.id = c.request_id)
--!   then 'its request has no agent' end

-- Counters and times from the messages and quotes there are; two conversations of one request get a session
-- each. The id is always the same, so nothing is ever made twice.
insert into public.chat_sessions
  (id, conversation_id, request_id, iso_agent_id, status, session_started_at, last_activity_at, message_count, quotes_received_count, created_at, updated_at)
select
  md5('rethread:legacy:' || c.id)::uuid,
  c.id,
  r.id,
  a.id,
  'active',
  coalesce(m.first_at, r.created_at, now()),
  coalesce(m.last_at, r.created_at, now()),
  m.n,
  (select count(*) from public.quotes q where q.request_id = r.id),
  coalesce(m.first_at, r.created_at, now()),
  coalesce(m.last_at, r.created_at, now())
from public.conversations c
join public.requests r on r.id = c.request_id
join public.iso_agents a on a.id = r.iso_agent_id
cross join lateral (
  select count(*) as n, min(x.created_at) as first_at, max(x.created_at) as last_at
  from public.messages x
  where x.conversation_id = c.id
) m
where not exists (select from public.chat_sessions s where s.conversation_id = c.id)
on conflict (id) do nothing
returning format('Created session %s for conversation %s', id, conversation_id);
