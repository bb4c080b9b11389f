--! title: Require a session for every message
--! phase: contract
--! transaction: none
--! ends-old-app: a message without a workspace can no longer be written

-- With a validated CHECK, SET NOT NULL does not read the table under its lock.
alter table public.chats add constraint chats_session_id_present check (session_id is not null) not valid;
alter table public.chats validate constraint chats_session_id_present;
alter table public.chats alter column session_id set not null;
alter table public.chats drop constraint chats_session_id_present;
