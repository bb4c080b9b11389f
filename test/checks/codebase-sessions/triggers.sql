-- fault
alter table codebase_chat_sessions disable trigger touch_codebase_chat_session;
-- fix
alter table codebase_chat_sessions enable trigger touch_codebase_chat_session;
-- fault
drop trigger touch_codebase_chat_session on codebase_chat_sessions;
