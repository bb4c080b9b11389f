-- fault
alter table chat_sessions alter column title drop not null;
-- fix
alter table chat_sessions alter column title set not null;
-- fault
alter table chat_sessions alter column title set default 'Untitled';
-- fix
alter table chat_sessions alter column title set default 'New Chat';
-- fault
alter table chat_sessions drop column deleted_at cascade;
