-- fault
alter function chat_private.can_use_workspace(uuid) reset search_path;
-- fix
alter function chat_private.can_use_workspace(uuid) set search_path = pg_catalog, pg_temp;
-- fault
grant execute on function chat_private.fill_session() to public;
-- fix
revoke execute on function chat_private.fill_session() from public;
-- fault
alter function chat_private.can_use_workspace(uuid) security invoker;
-- fix
alter function chat_private.can_use_workspace(uuid) security definer;
