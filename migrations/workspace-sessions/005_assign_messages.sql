--! title: Assign every message to its legacy session
--! phase: backfill
--! undone-by: 002_link_chats_to_sessions
--! table: public.chats
--! unit: workspace_id
--! pending: c.session_id is null
--! reason: case
--!   when chat_private.session_workspace(c.workspace_id) is null then 'it has no workspace'
--!   when not exists (select from public.workspaces w where w.id = chat_private.session_workspace(c.workspace_id))
--!   then 'its workspace was deleted'
--!   when not exists (select from auth.users u where u.id = c.user_id or u.id = (
--!     select w.owner_id from public.workspaces w where w.id = chat_private.session_workspace(c.workspace_id)))
--!   and not exists (select from public.chat_sessions s where s.id = chat_private.legacy_session_of(c.workspace_id, c.user_id, c.created_at))
--!   then 'neither its author nor the owner of its workspace exists' end

update public.chats c
set session_id = l.session_id
from chat_private.legacy_sessions l
where l.workspace_id = chat_private.session_workspace(c.workspace_id)
  and l.author_id = chat_private.legacy_author(c.user_id)
  and l.slot = chat_private.legacy_slot(c.created_at)
  -- only messages without a session. In this form it is evaluated for the rows of this batch. `c.session_id
  -- is null` would be evaluated first, for every row of every page in every pass (a fifth of the time).
  and coalesce(c.session_id, l.session_id) is distinct from c.session_id;
