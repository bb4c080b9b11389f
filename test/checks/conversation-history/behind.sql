-- fault
insert into chat_private.behind (session_id, written_by, operation, sqlstate) values (md5('session 1')::uuid, 'old application', 'UPDATE', '22001');
-- fix
delete from chat_private.behind;
-- fault
set local session_replication_role = replica;
delete from chat_sessions where id = md5('session 2')::uuid;
-- fix
set local session_replication_role = origin;
delete from conversations where id = md5('session 2')::uuid;
