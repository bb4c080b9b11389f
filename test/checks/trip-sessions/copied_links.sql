-- fault
set local session_replication_role = replica;
insert into proposals (request_id) select request_id from chat_sessions where request_id is not null limit 1;
set local session_replication_role = origin;
-- fix
update proposals set request_id = request_id;
-- fault
update chat_sessions set proposal_id = null;
