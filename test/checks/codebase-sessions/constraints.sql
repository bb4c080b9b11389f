-- fault
alter table codebase_chat_sessions drop constraint codebase_chat_sessions_history_is_array;
-- fix
alter table codebase_chat_sessions add constraint codebase_chat_sessions_history_is_array check (jsonb_typeof(conversation_history) = 'array');
-- fault
alter table codebase_chat_sessions drop constraint codebase_chat_sessions_session_id_key;
