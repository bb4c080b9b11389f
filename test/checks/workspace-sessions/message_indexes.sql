-- fault
drop index idx_chats_session_created;
-- fix
create index idx_chats_session_created on chats (session_id, created_at);
-- fault
update pg_index set indisvalid = false where indexrelid = 'idx_chats_session_id'::regclass;
-- fix
update pg_index set indisvalid = true where indexrelid = 'idx_chats_session_id'::regclass;
