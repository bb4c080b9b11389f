-- fault
drop index idx_chat_sessions_agent_status;
-- fix
create index idx_chat_sessions_agent_status on chat_sessions (iso_agent_id, status, last_activity_at desc);
-- fault
update pg_index set indisvalid = false where indexrelid = 'idx_chat_sessions_trip'::regclass;
