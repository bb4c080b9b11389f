-- with: contract
-- fault
alter table chats alter column session_id drop not null;
-- fix
alter table chats alter column session_id set not null;
-- fault
alter table chats rename column session_id to other_id;
-- fix
alter table chats rename column other_id to session_id;
