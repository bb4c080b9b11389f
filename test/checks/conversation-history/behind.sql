-- fault
insert into chat_private.behind (session_id, written_by, operation, sqlstate) values (md5('session 1')::uuid, 'old application', 'UPDATE', '22001');
-- fix
delete from chat_private.behind;
