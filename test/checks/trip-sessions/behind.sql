-- fault
insert into chat_private.behind (conversation_id, operation, sqlstate)
select conversation_id, 'INSERT of messages', '55P03' from chat_sessions limit 1;
-- fix
insert into messages (conversation_id) select conversation_id from chat_private.behind;
-- fault
insert into chat_private.behind (request_id, operation, sqlstate)
select request_id, 'INSERT of quotes', '55P03' from chat_sessions where request_id is not null limit 1;
-- fix
insert into quotes (request_id) select request_id from chat_private.behind;
