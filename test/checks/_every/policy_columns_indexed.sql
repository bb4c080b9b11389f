-- with: contract
-- fault
drop index idx_chat_sessions_user_id;
-- fix
create index idx_chat_sessions_user_id on chat_sessions (user_id);
