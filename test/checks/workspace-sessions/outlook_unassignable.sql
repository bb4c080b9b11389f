-- fault
insert into chats (message) values ('nowhere');
-- fix
delete from chats c where c.created_at is null or c.workspace_id is null
  or not exists (select from workspaces w where w.id = c.workspace_id);
