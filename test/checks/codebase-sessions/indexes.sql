-- fault
drop index idx_codebase_chat_sessions_repo;
-- fix
create index idx_codebase_chat_sessions_repo on codebase_chat_sessions (repo) where repo is not null;
-- fault
update pg_index set indisvalid = false where indexrelid = 'idx_codebase_chat_sessions_user_id'::regclass;
