-- fault
update chat_sessions set status = 'completed' where id = (select id from chat_sessions where request_id is not null limit 1);
-- fix
update chat_sessions set status = 'active' where status = 'completed';
-- fault
update requests set iso_agent_id = (select a.id from iso_agents a where a.id <> requests.iso_agent_id limit 1)
where id = (select request_id from chat_sessions where request_id is not null limit 1);
