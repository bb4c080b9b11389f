-- What the application does that loads requests and messages and knows nothing of chat_sessions.
insert into public.requests (id, iso_agent_id, departure_airport, arrival_airport)
values (md5('old request')::uuid, (select id from public.iso_agents order by id limit 1), 'LFPB', 'EGGW') on conflict (id) do nothing;
insert into public.conversations (id, request_id, subject)
values (md5('old conversation')::uuid, md5('old request')::uuid, 'From the old application') on conflict (id) do nothing;
insert into public.messages (conversation_id, sender_type, content) values (md5('old conversation')::uuid, 'agent', 'Written by the old application');
update public.conversations set subject = subject || '.' where id = md5('old conversation')::uuid;
select r.id, r.departure_airport, m.content from public.requests r
  join public.conversations c on c.request_id = r.id join public.messages m on m.conversation_id = c.id limit 50;
delete from public.messages where conversation_id = md5('old conversation')::uuid;
delete from public.conversations where id = md5('old conversation')::uuid;
delete from public.requests where id = md5('old request')::uuid;
