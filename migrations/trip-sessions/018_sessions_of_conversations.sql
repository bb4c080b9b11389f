--! title: Give every conversation that lacks one a session
--! phase: backfill
--! undone-by: 017_create_chat_sessions
--! requires: column public.conversations.request_id uuid, column public.conversations.subject,
--!   column public.requests.departure_airport, column public.requests.arrival_airport,
--!   column public.messages.id uuid, column public.messages.content
--! table: public.conversations
--! unit: id
--! key: id
--! pending: not exists (select from public.chat_sessions s where s.conversation_id = c.id)
--!     and not exists (select from chat_private.pruned p where p.conversation_id = c.id)
--!   or c.id in (
--!     select s.conversation_id from chat_private.behind b
--!     join public.chat_sessions s on s.conversation_id = b.conversation_id or s.request_id = b.request_id)
--! reason: case
--!   when exists (select from public.chat_sessions s where s.conversation_id = c.id) then null
--!   when not exists (select from public.requests r where r.id = c.request_id) then 'it has no request to take its agent from'
--!   when not exists (select from public.requests r join public.iso_agents a on a.id = r.iso_agent_id where r.id = c.request_id)
--!   then 'its request has no agent' end

-- Two conversations of one request get one session each. A trigger counts their messages and quotes and
-- copies the request's links. A session whose counters could not be maintained is counted instead.
insert into public.chat_sessions
  (id, conversation_id, request_id, iso_agent_id, session_started_at, last_activity_at, created_at, updated_at)
select n.id, n.conversation_id, n.request_id, n.iso_agent_id, n.started_at, n.last_at, n.started_at, n.last_at
from public.conversations c
cross join lateral chat_private.new_session(c.id) n
where not chat_private.has_caught_up(c.id) and not exists (select from chat_private.pruned p where p.conversation_id = c.id)
on conflict (id) do nothing
returning format('Created session %s for conversation %s', id, conversation_id);
