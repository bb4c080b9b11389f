-- fault
update pg_class set reltuples = case oid when 'chats'::regclass then 100000 else 10 end where oid in ('chats'::regclass, 'chat_sessions'::regclass);
update chats set session_id = chat_private.legacy_session_id(md5('workspace 2')::uuid, null)
where id = (select id from chats where workspace_id = md5('workspace 1')::uuid order by id limit 1);
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where c.workspace_id = md5('workspace 1')::uuid;
-- fault
set local session_replication_role = replica;
update chats set session_id = gen_random_uuid() where id = md5('message 9')::uuid;
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where id = md5('message 9')::uuid;
-- fault
-- above the session's own workspace and below it, with the index
update chats set session_id = chat_private.legacy_session_id(case when workspace_id = md5('workspace 1')::uuid then md5('workspace 2') else md5('workspace 1') end::uuid, null)
where id in (select min(id::text)::uuid from chats where workspace_id in (md5('workspace 1')::uuid, md5('workspace 2')::uuid) group by workspace_id);
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where c.workspace_id in (md5('workspace 1')::uuid, md5('workspace 2')::uuid);
-- fault
-- sessions of few messages: one pass over all of them
update pg_class set reltuples = case oid when 'chats'::regclass then 100 else 10 end where oid in ('chats'::regclass, 'chat_sessions'::regclass);
update chats set session_id = chat_private.legacy_session_id(md5('workspace 2')::uuid, null)
where id = (select id from chats where workspace_id = md5('workspace 1')::uuid order by id limit 1);
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where c.workspace_id = md5('workspace 1')::uuid;
-- fault
set local session_replication_role = replica;
update chats set session_id = gen_random_uuid() where id = md5('message 9')::uuid;
-- fix
update chats c set session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id) where id = md5('message 9')::uuid;
