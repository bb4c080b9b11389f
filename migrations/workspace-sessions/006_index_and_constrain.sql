--! title: Bind messages to their sessions, and index them
--! phase: contract
--! transaction: none

-- First, so that a session deleted from the next statement on finds its messages. With the workspace beside
-- it, by which `verify` proves in a few steps that no session has a message of another workspace.
create index concurrently idx_chats_session_id on public.chats (session_id, workspace_id);
-- From here on a session deleted takes its messages along; what is there already is proved later. Messages
-- of a workspace or of an account that is deleted stay (chat_private.keep_session), until 010.
alter table public.chats
  add constraint chats_session_id_fkey foreign key (session_id) references public.chat_sessions (id) on delete cascade not valid;
create index concurrently idx_chats_session_created on public.chats (session_id, created_at);
-- what chat_private.can_use_workspace reads for every session
create index concurrently idx_chats_workspace_author on public.chats (workspace_id, user_id);
