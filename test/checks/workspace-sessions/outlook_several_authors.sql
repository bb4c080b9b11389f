-- fault
insert into chats (workspace_id, user_id, message) select md5('workspace 1')::uuid, id, 'another' from auth.users limit 5;
-- fix
delete from chats c where exists (
  select from chats o where o.workspace_id = c.workspace_id and o.user_id is distinct from c.user_id);
