--! title: Create a legacy session for each workspace that has messages
--! phase: backfill
--! undone-by: 001_create_chat_sessions
--! table: public.chats
--! unit: workspace_id
--! pending: chat_private.session_workspace(c.workspace_id) is not null and not exists (select from public.chat_sessions s
--!   where s.id = chat_private.legacy_session_id(c.workspace_id, c.user_id))
--! reason: case
--!   when not exists (select from public.workspaces w where w.id = chat_private.session_workspace(c.workspace_id))
--!   then 'its workspace was deleted'
--!   when not exists (select from public.workspaces w join auth.users o on o.id = w.owner_id
--!   where w.id = chat_private.session_workspace(c.workspace_id))
--!   and not exists (select from auth.users a where a.id = c.user_id)
--!   then 'neither its author nor the owner of its workspace exists' end

-- Batches merge: the earliest and the latest message count, and a second author makes the workspace's owner the
-- owner of the session. A message of nobody known counts as another author.
insert into public.chat_sessions as s (id, workspace_id, user_id, title, created_at, updated_at)
select
  chat_private.legacy_session_id(c.workspace_id, c.user_id),
  w.id,
  coalesce(
    case when count(*) = count(a.id) and min(a.id::text) = max(a.id::text) then min(a.id::text)::uuid end,
    o.id,
    min(a.id::text)::uuid),
  'Legacy Chat',
  coalesce(min(c.created_at), now()),
  coalesce(max(c.created_at), now())
from public.chats c
join public.workspaces w on w.id = chat_private.session_workspace(c.workspace_id)
left join auth.users a on a.id = c.user_id
left join auth.users o on o.id = w.owner_id
where a.id is not null or o.id is not null
group by chat_private.legacy_session_id(c.workspace_id, c.user_id), w.id, o.id
on conflict (id) do update
set created_at = least(s.created_at, excluded.created_at),
    updated_at = greatest(s.updated_at, excluded.updated_at),
    user_id = case when s.user_id = excluded.user_id then s.user_id else coalesce(
      (select u.id from public.workspaces k join auth.users u on u.id = k.owner_id where k.id = s.workspace_id),
      s.user_id) end
where excluded.created_at < s.created_at
  or excluded.updated_at > s.updated_at
  or excluded.user_id <> s.user_id
returning case when xmax = 0 then format('Created legacy session %s for workspace %s', s.id, s.workspace_id) end;
