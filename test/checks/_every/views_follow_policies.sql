-- with: contract
-- fault
create view all_sessions as select * from chat_sessions;
-- fix
alter view all_sessions set (security_invoker = on);
-- fault
create materialized view frozen_sessions as select * from chat_sessions;
-- fix
revoke select on frozen_sessions from anon, authenticated;
