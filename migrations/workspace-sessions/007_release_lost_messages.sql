--! title: Release messages whose session was deleted with its workspace before the foreign key existed
--! phase: contract
--! undone-by: 006_index_and_constrain
--! table: public.chats
--! unit: workspace_id
--! until: 008_prove_foreign_key
--! pending: (c.session_id is null or not exists (select from public.chat_sessions s where s.id = c.session_id))
--! reason: case
--!   when c.session_id is not null
--!   or exists (select from chat_private.behind b where b.message = c.id::text and b.operation <> 'lost') then null
--!   when chat_private.session_workspace(c.workspace_id) is null then 'it has no workspace'
--!   when not exists (select from public.workspaces w where w.id = chat_private.session_workspace(c.workspace_id))
--!   then 'its workspace was deleted'
--!   when exists (select from chat_private.behind b where b.message = c.id::text and b.operation = 'lost')
--!   then 'its session was deleted'
--!   when not exists (select from auth.users u where u.id = c.user_id or u.id = (
--!     select w.owner_id from public.workspaces w where w.id = chat_private.session_workspace(c.workspace_id)))
--!   and not exists (select from public.chat_sessions s where s.id = chat_private.legacy_session_of(c.workspace_id, c.user_id, c.created_at))
--!   then 'neither its author nor the owner of its workspace exists' end

-- The message stays, and is quarantined like any other of a deleted workspace. A message that never had a
-- session is none of these: it came past the triggers after 005, which gives it its session in the next run.
update public.chats c
set session_id = null
where c.session_id is not null
  -- with case a message is only noted if its session does not exist
  and case when exists (select from public.chat_sessions s where s.id = c.session_id) then false
    else chat_private.note_lost(c.id::text, c.session_id) end;
