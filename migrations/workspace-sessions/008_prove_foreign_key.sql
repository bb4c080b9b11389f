--! title: Prove that every session_id leads to a session
--! phase: contract
--! undone-by: 006_index_and_constrain
--! transaction: none

alter table public.chats validate constraint chats_session_id_fkey;
