-- fix
delete from chats where session_id is null;
-- fault
insert into chats (id, message) values (md5('lost')::uuid, 'lost');
insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
values ('workspace-sessions', '005_assign_messages', 'public.chats', md5('lost')::uuid::text, 'lost', '{}');
-- fix
delete from chats where id = md5('lost')::uuid;
