-- fault
update chats set session_id = chat_private.legacy_session_id(md5('workspace 2')::uuid, null)
where id = (select id from chats where workspace_id = md5('workspace 1')::uuid order by id limit 1);
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where c.workspace_id = md5('workspace 1')::uuid;
