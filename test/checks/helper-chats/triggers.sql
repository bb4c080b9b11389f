-- fault
alter table chat_messages disable trigger update_chat_session_on_message;
-- fix
alter table chat_messages enable trigger update_chat_session_on_message;
-- fault
drop trigger update_chat_session_on_message on chat_messages;
