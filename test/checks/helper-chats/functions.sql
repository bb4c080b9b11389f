-- fault
alter function chat_private.update_chat_session() reset search_path;
-- fix
alter function chat_private.update_chat_session() set search_path = pg_catalog, pg_temp;
-- fault
grant execute on function chat_private.update_chat_session() to public;
-- fix
revoke execute on function chat_private.update_chat_session() from public;
-- fault
alter function chat_private.update_chat_session() rename to renamed;
