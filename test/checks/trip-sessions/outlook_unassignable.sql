-- fault
select 1;
-- fix
delete from conversations c where not exists (
  select from requests r join iso_agents a on a.id = r.iso_agent_id where r.id = c.request_id);
