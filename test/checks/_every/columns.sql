-- with: contract
-- fault
alter table chats alter column session_id drop not null;
-- fix
alter table chats alter column session_id set not null;
-- fault
alter table chat_sessions alter column updated_at drop default;
-- fix
alter table chat_sessions alter column updated_at set default now();
-- fault
alter table chat_sessions alter column deleted_at set default now();
-- fix
alter table chat_sessions alter column deleted_at drop default;
-- fault
alter table chat_sessions alter column created_at type timestamp;
-- fix
alter table chat_sessions alter column created_at type timestamptz;
-- fault
alter table chat_sessions rename column title to heading;
-- fix
alter table chat_sessions rename column heading to title;
-- fault
alter table chat_sessions rename to renamed;
