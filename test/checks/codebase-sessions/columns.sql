-- fault
alter table codebase_chat_sessions alter column last_activity drop not null;
-- fix
alter table codebase_chat_sessions alter column last_activity set not null;
-- fault
alter table codebase_chat_sessions drop column context_cache;
