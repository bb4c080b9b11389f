-- fault
alter table chat_sessions alter column iso_agent_id drop not null;
-- fix
alter table chat_sessions alter column iso_agent_id set not null;
-- fault
alter table chat_sessions drop column current_step;
