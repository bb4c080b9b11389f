-- with: contract
-- fault
grant truncate on chat_sessions to authenticated;
-- fix
revoke truncate on chat_sessions from authenticated;
-- fault
grant update on chat_sessions to anon;
-- fix
revoke update on chat_sessions from anon;
-- fault
grant select (title) on chat_sessions to anon;
-- fix
revoke select (title) on chat_sessions from anon;
-- fault
revoke update on chat_sessions from authenticated;
grant update (title) on chat_sessions to authenticated;
-- fix
revoke update (title) on chat_sessions from authenticated;
grant update on chat_sessions to authenticated;
-- fault
revoke all on chat_sessions from service_role;
-- fix
grant select, insert, update, delete on chat_sessions to service_role;
-- fault
alter table chat_sessions rename to renamed;
