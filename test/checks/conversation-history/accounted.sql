-- fault
set local session_replication_role = replica;
delete from messages where id = (select id from messages limit 1);
-- fault
delete from conversations where id = md5('session 4')::uuid;
