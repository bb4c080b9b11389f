-- fault
create view who_is_in as select iso_agent_id from chatkit_sessions;
-- fix
drop view who_is_in;
-- fault
create table chatkit_events (session_id uuid references chatkit_sessions (id));
-- fix
drop table chatkit_events;
-- fault
create function old_sessions() returns bigint language sql as 'select count(*) from public.chatkit_sessions';
-- fix
drop function old_sessions();
-- fault
create policy by_chatkit on quotes using (exists (select from chatkit_sessions));
-- fix
drop policy by_chatkit on quotes;
-- fault
update chatkit_sessions set state = '{"step": 2}' where chatkit_session_id = 'ck_1';
