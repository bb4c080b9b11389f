-- fault
grant select on chat_sessions to anon;
-- fix
revoke select on chat_sessions from anon;
-- fault
revoke insert on chat_sessions from authenticated;
-- fix
grant insert on chat_sessions to authenticated;
