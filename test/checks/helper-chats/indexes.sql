-- fault
drop index idx_chat_messages_session_created;
-- fix
create index idx_chat_messages_session_created on chat_messages (session_id, created_at);
-- fault
update pg_index set indisvalid = false where indexrelid = 'idx_chat_sessions_user_recent'::regclass;
