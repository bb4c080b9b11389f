-- fault
alter function chat_private.tenant_role(uuid) reset search_path;
-- fix
alter function chat_private.tenant_role(uuid) set search_path = pg_catalog, pg_temp;
-- fault
grant execute on function chat_private.tenant_role(uuid) to public;
-- fix
revoke execute on function chat_private.tenant_role(uuid) from public;
-- fault
alter function chat_private.tenant_role(uuid) rename to renamed;
