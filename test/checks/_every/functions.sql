-- with: contract
-- fault
alter function chat_private.move_session() security invoker;
-- fix
alter function chat_private.move_session() security definer;
-- fault
alter function chat_private.move_session() set search_path = public;
-- fix
alter function chat_private.move_session() set search_path = pg_catalog, pg_temp;
-- fault
grant execute on function chat_private.move_session() to public;
-- fix
revoke execute on function chat_private.move_session() from public;
-- fault
alter function chat_private.move_session() rename to renamed;
-- fix
alter function chat_private.renamed() rename to move_session;
-- fault
create or replace function chat_private.move_session() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin return new; end';
