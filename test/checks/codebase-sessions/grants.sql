-- fault
grant select on codebase_chat_sessions to anon;
-- fix
revoke select on codebase_chat_sessions from anon;
-- fault
revoke insert on codebase_chat_sessions from authenticated;
-- fix
grant insert on codebase_chat_sessions to authenticated;
-- fault
revoke delete on codebase_chat_sessions from service_role;
-- fix
grant delete on codebase_chat_sessions to service_role;
