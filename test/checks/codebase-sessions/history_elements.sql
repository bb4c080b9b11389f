-- fault
insert into codebase_chat_sessions (session_id, conversation_history) values ('chat-1-a', '["just text"]');
-- fix
update codebase_chat_sessions set conversation_history = '[{"role": "user", "content": "x", "timestamp": 1}]' where session_id = 'chat-1-a';
-- fault
update codebase_chat_sessions set conversation_history = '[{"role": "user"}]' where session_id = 'chat-1-a';
