-- fix
revoke truncate, references, trigger on chats, workspaces from anon, authenticated;
-- fault
grant truncate on chat_sessions to authenticated;
-- fix
revoke truncate on chat_sessions from authenticated;
-- fault
alter default privileges in schema rethread_archive grant select on tables to authenticated;
-- fix
alter default privileges in schema rethread_archive revoke select on tables from authenticated;
-- fault
create publication everything for all tables;
-- fix
drop publication everything;
-- fault
create publication inner_tables for tables in schema chat_private;
-- fix
drop publication inner_tables;
