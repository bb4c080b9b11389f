-- fault
alter table chats disable trigger update_chat_session_on_message;
insert into chats (workspace_id, user_id, message, session_id)
select workspace_id, user_id, 'unnoticed', id from chat_sessions order by id limit 1;
-- fix
update chat_sessions s set updated_at = now() where exists (select from chats c where c.session_id = s.id and c.message = 'unnoticed');
-- fault
-- the time of a message is changed
alter table chats disable trigger update_chat_session_on_change;
update chats set created_at = now() + interval '1 day' where id = md5('message 7')::uuid;
-- fix
alter table chats enable trigger update_chat_session_on_change;
update chats set created_at = now() + interval '2 days' where id = md5('message 7')::uuid;
