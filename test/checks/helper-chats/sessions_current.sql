-- fault
insert into chat_sessions (user_id, helper) select id, 'planner' from auth.users limit 1;
alter table chat_messages disable trigger update_chat_session_on_message;
insert into chat_messages (session_id, role, content) select id, 'user', 'unnoticed' from chat_sessions limit 1;
alter table chat_messages enable trigger update_chat_session_on_message;
