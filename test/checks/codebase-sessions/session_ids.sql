-- fault
insert into codebase_chat_sessions (session_id) values ('my session');
-- fix
delete from codebase_chat_sessions where session_id = 'my session';
