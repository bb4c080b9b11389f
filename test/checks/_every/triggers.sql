-- with: contract
-- fault
alter table chat_sessions disable trigger update_chat_sessions_updated_at;
-- fix
alter table chat_sessions enable trigger update_chat_sessions_updated_at;
-- fault
alter table chat_sessions enable replica trigger update_chat_sessions_updated_at;
-- fault
drop trigger update_chat_sessions_updated_at on chat_sessions;
