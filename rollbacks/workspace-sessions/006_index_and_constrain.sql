--! title: Drop the foreign key and the indexes of messages
--! transaction: none

alter table public.chats drop constraint if exists chats_session_id_fkey;
drop index concurrently if exists public.idx_chats_workspace_author;
drop index concurrently if exists public.idx_chats_session_created;
drop index concurrently if exists public.idx_chats_session_id;
