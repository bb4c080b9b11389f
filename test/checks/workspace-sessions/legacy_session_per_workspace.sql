-- fault
alter table chats disable trigger zzz_rethread_fill_session_on_insert;
alter table chats disable trigger rethread_fill_session_after_insert;
insert into workspaces (id, name, owner_id) values (md5('new room')::uuid, 'New', md5('user 1')::uuid);
insert into chats (id, workspace_id, user_id, message) values (md5('new')::uuid, md5('new room')::uuid, md5('user 1')::uuid, 'hello');
-- fix
delete from chats where id = md5('new')::uuid;
-- fault
update chat_sessions set workspace_id = (select id from workspaces where name = 'Empty')
where id = chat_private.legacy_session_id(md5('workspace 1')::uuid, null);
-- fix
update chat_sessions set workspace_id = md5('workspace 1')::uuid
where id = chat_private.legacy_session_id(md5('workspace 1')::uuid, null);
