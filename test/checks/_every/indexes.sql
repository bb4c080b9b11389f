-- with: contract
-- fault
drop index idx_chat_sessions_user_id;
create unique index idx_chat_sessions_user_id on chat_sessions (user_id, id);
-- fault
drop index idx_chat_sessions_user_id;
create unique index idx_chat_sessions_user_id on chat_sessions (user_id) where user_id is null;
-- fix
drop index idx_chat_sessions_user_id;
create index idx_chat_sessions_user_id on chat_sessions (user_id);
-- fault
drop index idx_chat_sessions_active;
create index idx_chat_sessions_active on chat_sessions (workspace_id, updated_at desc);
-- fault
drop index idx_chat_sessions_active;
create index idx_chat_sessions_active on chat_sessions (workspace_id, updated_at desc) where deleted_at is not null;
-- fix
drop index idx_chat_sessions_active;
create index idx_chat_sessions_active on chat_sessions (workspace_id, updated_at desc) where deleted_at is null;
-- fault
update pg_index set indisready = false where indexrelid = 'idx_chats_session_created'::regclass;
-- fix
update pg_index set indisready = true where indexrelid = 'idx_chats_session_created'::regclass;
-- fault
drop index idx_chat_sessions_created_at;
create index idx_chat_sessions_created_at on chats (created_at desc);
