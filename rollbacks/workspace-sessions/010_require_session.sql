--! title: Allow messages without a session
--! transaction: none

alter table public.chats drop constraint if exists chats_session_id_present;
alter table public.chats alter column session_id drop not null;
