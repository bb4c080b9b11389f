-- fault
set local session_replication_role = replica;
update chat_sessions set message_count = message_count + 1 where id = (select id from chat_sessions order by id limit 1);
set local session_replication_role = origin;
-- fix
update chat_sessions set message_count = 0 where id = (select id from chat_sessions order by id limit 1);
-- fault
alter table messages disable trigger user;
delete from messages where id = (select id from messages order by id limit 1);
alter table messages enable trigger user;
-- fix
update chat_sessions set message_count = -1;
-- fault
set local session_replication_role = replica;
insert into quotes (request_id) select request_id from chat_sessions where request_id is not null limit 1;
set local session_replication_role = origin;
-- fix
update chat_sessions set quotes_received_count = -1;
-- fault
set local session_replication_role = replica;
update chat_sessions set last_activity_at = '2000-01-01' where message_count > 0;
set local session_replication_role = origin;
