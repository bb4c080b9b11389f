-- fault
update chats set session_id = null where id = md5('message 7')::uuid;
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where id = md5('message 7')::uuid;
