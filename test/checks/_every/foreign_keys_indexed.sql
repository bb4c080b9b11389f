-- with: contract
-- fault
drop index idx_chat_sessions_workspace_id;
drop index idx_chat_sessions_active;
-- fix
create index idx_chat_sessions_workspace_id on chat_sessions (workspace_id);
