-- with: contract
-- fault
drop trigger update_chat_sessions_updated_at on chat_sessions;
