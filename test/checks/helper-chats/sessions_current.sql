-- fault
insert into chat_sessions (user_id, helper) select id, 'planner' from auth.users limit 1;
alter table chat_messages disable trigger update_chat_session_on_message;
insert into chat_messages (session_id, role, content) select id, 'user', 'unnoticed' from chat_sessions limit 1;
alter table chat_messages enable trigger update_chat_session_on_message;
-- fix
delete from chat_messages where content = 'unnoticed';
-- fault
insert into chat_messages (session_id, role, content) select id, 'user', 'said' from chat_sessions limit 1;
alter table chat_messages disable trigger update_chat_session_on_edit;
update chat_messages set content = 'edited';
-- fix
alter table chat_messages enable trigger update_chat_session_on_edit;
update chat_messages set content = 'edited again';
-- fault
insert into chat_messages (session_id, role, content, created_at) select id, 'user', 'taken back', now() + interval '1 second' from chat_sessions limit 1;
alter table chat_messages disable trigger update_chat_session_on_deletion;
delete from chat_messages where content = 'taken back';
