--! title: Create a legacy session for each workspace that has messages
--! phase: backfill
--! undone-by: 001_create_chat_sessions
--! table: public.workspaces
--! unit: id
--! pending: exists (select from chat_private.legacy_parts p
--!   where p.workspace_id = w.id
--!   and not exists (select from public.chat_sessions s where s.id = chat_private.legacy_session_id(p.workspace_id, p.author_id))
--!   and exists (select from auth.users u where u.id in (p.author_id, w.owner_id)))

-- The owner of a session is its only author, else the owner of its workspace; a message of nobody known counts as
-- another author. A session that the dual write has made before gets the times and the owner of the whole.
insert into public.chat_sessions as s (id, workspace_id, user_id, title, created_at, updated_at)
select
  m.session_id,
  w.id,
  coalesce(case when m.one_author then a.id end, o.id, a.id),
  'Legacy Chat',
  coalesce(m.first_at, now()),
  coalesce(m.last_at, now())
from public.workspaces w
cross join lateral (
  select
    chat_private.legacy_session_id(p.workspace_id, p.author_id) as session_id,
    min(u.id::text)::uuid as author_id,
    count(*) = count(u.id) and min(u.id::text) = max(u.id::text) as one_author,
    min(p.first_at) as first_at,
    max(p.last_at) as last_at
  from chat_private.legacy_parts p
  left join auth.users u on u.id = p.author_id
  where p.workspace_id = w.id
  group by 1
) m
left join auth.users a on a.id = m.author_id
left join auth.users o on o.id = w.owner_id
where coalesce(a.id, o.id) is not null
on conflict (id) do update
set created_at = least(s.created_at, excluded.created_at),
    updated_at = greatest(s.updated_at, excluded.updated_at),
    user_id = excluded.user_id
where excluded.created_at < s.created_at
returning case when xmax = 0 then format('Created legacy session %s for workspace %s', s.id, s.workspace_id) end;
