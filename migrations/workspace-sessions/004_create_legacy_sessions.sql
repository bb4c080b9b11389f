--! title: Create a legacy session for each workspace that has messages
--! phase: backfill
--! undone-by: 001_create_chat_sessions
--! table: public.workspaces
--! unit: id
--! pending: exists (select from chat_private.legacy_parts p
--!   where p.workspace_id = w.id
--!   and not exists (select from chat_private.legacy_sessions l
--!     where l.workspace_id = p.workspace_id and l.author_id = chat_private.legacy_author(p.author_id))
--!   and exists (select from auth.users u where u.id in (p.author_id, w.owner_id)))

-- The owner of a session is its only author, else the owner of its workspace; a message of nobody known
-- counts as another author.
insert into chat_private.legacy_sessions as l (workspace_id, author_id, session_id)
select
  w.id,
  m.author_id,
  chat_private.put_legacy_session(
    chat_private.legacy_session_id(w.id, m.some_author),
    w.id,
    coalesce(case when m.one_author then a.id end, o.id, a.id),
    m.first_at,
    m.last_at
  )
from public.workspaces w
cross join lateral (
  select
    chat_private.legacy_author(p.author_id) as author_id,
    min(p.author_id::text)::uuid as some_author,
    min(u.id::text)::uuid as user_id,
    count(*) = count(u.id) and min(u.id::text) = max(u.id::text) as one_author,
    min(p.first_at) as first_at,
    max(p.last_at) as last_at
  from chat_private.legacy_parts p
  left join auth.users u on u.id = p.author_id
  where p.workspace_id = w.id
  group by 1
) m
left join auth.users a on a.id = m.user_id
left join auth.users o on o.id = w.owner_id
where coalesce(a.id, o.id) is not null
on conflict (workspace_id, author_id) do nothing
returning format('Created legacy session %s for workspace %s', l.session_id, l.workspace_id);
