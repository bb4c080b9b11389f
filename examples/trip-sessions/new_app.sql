-- What the new application does: conversations with their sessions through the functions,
-- messages, a trip, a completed one.
insert into public.conversations (id, request_id, subject)
select md5('new conversation ' || r.id)::uuid, r.id, 'New talk'
from (select * from public.requests where iso_agent_id is not null order by id limit 200) r;
select public.create_or_update_chat_session(c.id, r.iso_agent_id, r.id)
from public.conversations c join public.requests r on r.id = c.request_id
where c.id = md5('new conversation ' || r.id)::uuid;
insert into public.messages (conversation_id, sender_type, content)
select c.id, 'agent', 'New message ' || n
from public.conversations c cross join generate_series(1, coalesce(nullif(current_setting('demo.writes', true), ''), '1000')::int / 250) n
where c.id = md5('new conversation ' || c.request_id)::uuid;
select public.touch_chat_session(s.id)
from public.chat_sessions s where s.conversation_id = md5('new conversation ' || s.request_id)::uuid;
select public.set_chat_session_trip(s.id, 'atrip-64956150', 'rfp-123')
from public.chat_sessions s where s.conversation_id = md5('new conversation ' || s.request_id)::uuid order by s.id limit 1;
select public.complete_chat_session(s.id)
from public.chat_sessions s where s.conversation_id = md5('new conversation ' || s.request_id)::uuid order by s.id desc limit 1;
