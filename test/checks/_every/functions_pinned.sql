-- with: contract
-- fault
alter function chat_private.can_use_workspace(uuid) reset search_path;
-- fix
alter function chat_private.can_use_workspace(uuid) set search_path = pg_catalog, pg_temp;
-- fault
alter function chat_private.can_use_workspace(uuid) set search_path = '';
-- fix
alter function chat_private.can_use_workspace(uuid) set search_path = pg_catalog, pg_temp;
-- fault
alter function chat_private.can_use_workspace(uuid) set search_path = pg_temp, pg_catalog;
-- fix
alter function chat_private.can_use_workspace(uuid) set search_path = 'pg_catalog', 'pg_temp';
-- fault
grant usage on schema chat_private to anon;
grant execute on function chat_private.can_use_workspace(uuid) to anon;
-- fix
revoke execute on function chat_private.can_use_workspace(uuid) from anon;
