--! title: Bind messages to their sessions, and index them
--! phase: contract
--! transaction: none

-- First, so that a session that is deleted during the next statements finds its messages. With the workspace,
-- so that `verify` needs few steps to prove that no session has a message of another workspace.
create index concurrently idx_chats_session_id on public.chats (session_id, workspace_id);
-- From here on, deleting a session deletes its messages; existing rows are validated later. Until 010,
-- messages of a deleted workspace or account stay (chat_private.keep_session).
alter table public.chats
  add constraint chats_session_id_fkey foreign key (session_id) references public.chat_sessions (id) on delete cascade not valid;
create index concurrently idx_chats_session_created on public.chats (session_id, created_at);
-- what chat_private.can_use_workspace reads for every session
create index concurrently idx_chats_workspace_author on public.chats (workspace_id, user_id);
