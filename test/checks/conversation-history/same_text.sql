-- fault
set local session_replication_role = replica;
update messages set content = '' where id = (select id from messages where conversation_id = md5('session 1')::uuid order by created_at limit 1);
-- fix
update messages m set content = e.content
from chat_sessions s cross join lateral chat_private.elements(s.id, s.messages::json, s.created_at) e
where s.id = md5('session 1')::uuid and e.id = m.id;
-- fault
set local session_replication_role = replica;
update messages set content = 'first part' where conversation_id = md5('awkward content parts')::uuid;
