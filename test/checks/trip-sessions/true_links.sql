-- fault
update chat_sessions set status = 'completed' where id = (select id from chat_sessions where request_id is not null limit 1);
-- fix
update chat_sessions set status = 'active' where status = 'completed';
-- fault
set local session_replication_role = replica;
update requests set iso_agent_id = (select a.id from iso_agents a where a.id <> requests.iso_agent_id limit 1)
where id = (select request_id from chat_sessions where request_id is not null limit 1);
set local session_replication_role = origin;
-- fix
update requests r set iso_agent_id = s.iso_agent_id from chat_sessions s
where s.request_id = r.id and s.iso_agent_id <> r.iso_agent_id;
-- fault
insert into quotes (request_id) select s.request_id from chat_sessions s where s.request_id is not null order by s.id limit 1;
update chat_sessions set primary_quote_id = (
  select q.id from quotes q join requests r on r.id = q.request_id where r.iso_agent_id <> chat_sessions.iso_agent_id limit 1)
where id = (select id from chat_sessions order by id desc limit 1);
-- fix
update chat_sessions set primary_quote_id = null;
-- fault
insert into proposals (request_id) select s.request_id from chat_sessions s where s.request_id is not null order by s.id limit 1;
update chat_sessions set proposal_id = (
  select p.id from proposals p join requests r on r.id = p.request_id where r.iso_agent_id <> chat_sessions.iso_agent_id limit 1)
where iso_agent_id <> (select r.iso_agent_id from proposals p join requests r on r.id = p.request_id limit 1);
-- fix
update chat_sessions set proposal_id = null;
-- fault
update chat_sessions set iso_agent_id = (select a.id from iso_agents a where a.id <> chat_sessions.iso_agent_id limit 1), request_id = null
where id = (select id from chat_sessions where request_id is not null limit 1);
