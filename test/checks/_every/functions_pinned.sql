-- with: contract
-- fault
alter function chat_private.can_use_workspace(uuid) reset search_path;
-- fix
alter function chat_private.can_use_workspace(uuid) set search_path = '';
-- fault
grant usage on schema chat_private to anon;
grant execute on function chat_private.can_use_workspace(uuid) to anon;
-- fix
revoke execute on function chat_private.can_use_workspace(uuid) from anon;
