-- with: contract
-- fault
create view all_sessions as select * from chat_sessions;
-- fix
alter view all_sessions set (security_invoker = on);
-- fault
create materialized view frozen_sessions as select * from chat_sessions;
-- fix
revoke select on frozen_sessions from anon, authenticated;
-- fault
create view below_sessions as select * from chat_sessions;
revoke all on below_sessions from anon, authenticated;
create view above_sessions as select * from below_sessions;
-- fix
alter view above_sessions set (security_invoker = on);
-- fault
create foreign data wrapper loop;
create server back foreign data wrapper loop;
create foreign table far_sessions (id uuid) server back options (schema_name 'public', table_name 'chat_sessions');
grant select on far_sessions to anon;
-- fix
revoke select on far_sessions from anon, authenticated;
