-- What the new application does: sessions through the functions, a trip, a completed one.
insert into public.conversations (id, request_id, subject)
select md5('new conversation ' || n)::uuid, md5('request ' || n)::uuid, 'New ' || n from generate_series(1, 10) n;
select public.create_or_update_chat_session(md5('new conversation ' || n)::uuid,
    (select r.iso_agent_id from public.requests r where r.id = md5('request ' || n)::uuid), md5('request ' || n)::uuid)
from generate_series(1, 10) n;
select public.set_chat_session_trip(s.id, 'atrip-64956150', 'rfp-123')
from public.chat_sessions s where s.conversation_id = md5('new conversation 1')::uuid;
select public.complete_chat_session(s.id) from public.chat_sessions s where s.conversation_id = md5('new conversation 2')::uuid;
