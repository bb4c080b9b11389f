-- fault
alter table chat_messages alter column content drop not null;
-- fix
alter table chat_messages alter column content set not null;
-- fault
alter table chat_sessions drop column last_message_preview;
