-- fault
update chats set session_id = chat_private.legacy_session_id(md5('workspace 2')::uuid, null)
where id = (select id from chats where workspace_id = md5('workspace 1')::uuid order by id limit 1);
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where c.workspace_id = md5('workspace 1')::uuid;
-- fault
set local session_replication_role = replica;
update chats set session_id = gen_random_uuid() where id = md5('message 9')::uuid;
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where id = md5('message 9')::uuid;
