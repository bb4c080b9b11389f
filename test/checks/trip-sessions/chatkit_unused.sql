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
-- fix
update chatkit_sessions set state = '{}';
alter table chatkit_sessions disable trigger touch_chatkit_sessions;
update chatkit_sessions set updated_at = '2025-01-01';
-- fault
create function nightly() returns int language sql as 'select public.cleanup_expired_chatkit_sessions()';
-- fix
drop function nightly();
-- fault
create view clean as select public.cleanup_expired_chatkit_sessions() as n;
-- fix
drop view clean;
-- fault
create trigger touch before update on quotes for each row execute function touch_chatkit_sessions();
