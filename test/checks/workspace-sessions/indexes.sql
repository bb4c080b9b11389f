-- fault
drop index idx_chat_sessions_active;
-- fix
create index idx_chat_sessions_active on chat_sessions (workspace_id, updated_at desc) where deleted_at is null;
-- fault
drop index idx_chat_sessions_created_at;
create index idx_chat_sessions_created_at on chat_sessions (created_at);
-- fix
drop index idx_chat_sessions_created_at;
create index idx_chat_sessions_created_at on chat_sessions (created_at desc);
-- fault
update pg_index set indisvalid = false where indexrelid = 'idx_chat_sessions_user_id'::regclass;
-- fix
update pg_index set indisvalid = true where indexrelid = 'idx_chat_sessions_user_id'::regclass;
-- fault
drop index idx_chats_session_created;
-- fix
create index idx_chats_session_created on chats (session_id, created_at);
-- fault
update pg_index set indisvalid = false where indexrelid = 'idx_chats_session_id'::regclass;
-- fix
update pg_index set indisvalid = true where indexrelid = 'idx_chats_session_id'::regclass;
