-- with: contract
-- fault
alter table chats alter column session_id drop not null;
-- fix
alter table chats alter column session_id set not null;
