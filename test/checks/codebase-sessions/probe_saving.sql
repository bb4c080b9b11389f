-- fault
alter table codebase_chat_sessions disable trigger touch_codebase_chat_session;
-- fix
alter table codebase_chat_sessions enable trigger touch_codebase_chat_session;
