-- fault
alter table chats drop constraint chats_session_id_fkey;
-- fix
alter table chats add constraint chats_session_id_fkey foreign key (session_id) references chat_sessions (id) on delete cascade;
-- fault
set local session_replication_role = replica;
update chat_sessions set user_id = gen_random_uuid() where id = (select id from chat_sessions order by id limit 1);
-- fix
update chat_sessions s set user_id = (select owner_id from workspaces w where w.id = s.workspace_id) where not exists (select from auth.users u where u.id = s.user_id);
-- fault
update chats set session_id = gen_random_uuid() where id = md5('message 7')::uuid;
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where id = md5('message 7')::uuid;
-- fault
delete from workspaces where id = md5('workspace 1')::uuid;
