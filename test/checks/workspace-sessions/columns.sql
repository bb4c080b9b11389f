-- fault
alter table chat_sessions alter column title drop not null;
-- fix
alter table chat_sessions alter column title set not null;
-- fault
alter table chat_sessions drop constraint chat_sessions_title_not_blank;
-- fix
alter table chat_sessions add constraint chat_sessions_title_not_blank check (title ~ '\S');
-- fault
alter table chat_sessions alter column title set default 'Untitled';
-- fix
alter table chat_sessions alter column title set default 'New Chat';
-- fault
alter table chat_sessions drop column deleted_at cascade;
