--! title: Release messages whose session was deleted with its workspace before the foreign key existed
--! phase: contract
--! undone-by: 006_index_and_constrain
--! table: public.chats
--! unit: workspace_id
--! until: 008_prove_foreign_key
--! pending: (c.session_id is null or not exists (select from public.chat_sessions s where s.id = c.session_id))
--! reason: case
--!   when c.session_id is not null or exists (select from chat_private.behind b where b.message = c.id::text) then null
--!   when chat_private.session_workspace(c.workspace_id) is null then 'it has no workspace'
--!   when not exists (select from public.workspaces w where w.id = chat_private.session_workspace(c.workspace_id))
--!   then 'its workspace was deleted' else 'its session was deleted' end

-- The message stays, and is quarantined like any other of a deleted workspace.
update public.chats c
set session_id = null
where c.session_id is not null
  and not exists (select from public.chat_sessions s where s.id = c.session_id);
