-- fault
update chats set session_id = null where id = md5('message 7')::uuid;
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where id = md5('message 7')::uuid;
-- fault
alter table chats drop constraint if exists chats_session_id_fkey;
update chats set session_id = gen_random_uuid() where id = md5('message 7')::uuid;
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where id = md5('message 7')::uuid;
