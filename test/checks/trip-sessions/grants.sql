-- fault
grant select on chat_sessions to anon;
-- fix
revoke select on chat_sessions from anon;
-- fault
revoke insert on chat_sessions from authenticated;
-- fix
grant insert on chat_sessions to authenticated;
-- fault
revoke delete on chat_sessions from service_role;
-- fix
grant delete on chat_sessions to service_role;
