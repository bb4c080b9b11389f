-- fault
alter table chats disable trigger user;
insert into chats (workspace_id, message) select id, 'unassigned' from workspaces limit 1;
-- fix
delete from chats where message = 'unassigned';
