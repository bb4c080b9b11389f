-- fault
insert into chats (id, workspace_id, user_id, message) select md5('from the old application')::uuid, id, owner_id, 'hello' from workspaces where owner_id is not null order by id desc limit 1;
-- fix
delete from chats where id = md5('from the old application')::uuid;
