-- fault
set local session_replication_role = replica;
delete from conversations where id = md5('session 1')::uuid;
-- fault
set local session_replication_role = replica;
delete from tenants where id = (select tenant_id from conversations limit 1);
-- fault
set local session_replication_role = replica;
delete from auth.users where id = (select user_id from conversations limit 1);
