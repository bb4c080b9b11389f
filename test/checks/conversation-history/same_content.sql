-- fault
set local session_replication_role = replica;
update messages set content = 'something else' where id = (select id from messages where conversation_id = md5('session 1')::uuid limit 1);
-- fix
update messages m set content = e.content
from chat_sessions s cross join lateral chat_private.elements(s.id, s.messages::json, s.created_at) e
where s.id = md5('session 1')::uuid and e.id = m.id;
-- fault
create temp table taken on commit drop as select * from messages where id = (
  select id from messages where conversation_id = md5('session 1')::uuid order by created_at desc limit 1);
delete from messages where id = (select id from taken);
-- fix
insert into messages select * from taken;
-- fault
update messages set created_at = '2001-01-01' where id = (
  select id from messages where conversation_id = md5('session 2')::uuid order by created_at desc limit 1);
