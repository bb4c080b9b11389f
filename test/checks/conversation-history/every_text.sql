-- fault
set local session_replication_role = replica;
create temp table lost as select * from messages where conversation_id = md5('session 1')::uuid order by created_at limit 1;
delete from messages m using lost l where m.id = l.id;
-- fix
insert into messages select * from lost;
-- fault
set local session_replication_role = replica;
update messages set metadata = '{}' where conversation_id = md5('awkward content parts')::uuid;
