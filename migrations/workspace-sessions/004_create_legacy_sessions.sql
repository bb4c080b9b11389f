--! title: Create the legacy sessions of each workspace that has messages
--! phase: backfill
--! undone-by: 001_create_chat_sessions
--! table: public.workspaces
--! unit: id
--! pending: exists (select from chat_private.legacy_parts p
--!   where p.workspace_id = w.id
--!   and not exists (select from chat_private.legacy_sessions l
--!     where l.workspace_id = p.workspace_id and l.author_id = chat_private.legacy_author(p.author_id) and l.slot = p.slot
--!     and not exists (
--!       select from public.chat_sessions s
--!       where s.id = l.session_id and (s.updated_at < p.last_at and s.workspace_id = p.workspace_id
--!         or chat_private.legacy_pause() is not null and s.created_at > p.first_at)))
--!   and (exists (select from auth.users u where u.id in (p.author_id, w.owner_id))
--!     or exists (select from public.chat_sessions s where s.id = chat_private.legacy_session_of(p.workspace_id, p.author_id, p.first_at))))

-- The owner of a session is its only author, else the owner of its workspace. A message of an unknown author
-- counts as another author. A session that ends with a pause belongs to its first author. An existing session
-- keeps its id: slots that belong to several sessions stay unchanged. Where neither an author nor an owner is
-- left, a session that the dual write has begun for somebody else takes the messages in, and stays theirs.
insert into chat_private.legacy_sessions as l (workspace_id, author_id, slot, session_id, title)
select w.id, m.author_id, t.slot, made.session_id, case when t.n = 1 then m.title end
from public.workspaces w
cross join lateral (
  select
    i.author_id,
    array_agg(i.slot order by i.slot) as slots,
    min(i.some_author::text)::uuid as some_author,
    (array_agg(i.user_id order by i.wrote_at) filter (where i.user_id is not null))[1] as user_id,
    bool_and(i.known) and min(i.least_user::text) = max(i.most_user::text) as one_author,
    min(i.first_at) as first_at,
    max(i.last_at) as last_at,
    coalesce(substr(min(i.opening), 17), 'Legacy Chat') as title,
    (array_agg(i.session_id order by i.slot) filter (where i.session_id is not null))[1] as session_id
  from (
    select s.*, count(*) filter (where s.before is null or s.first_at > s.before + chat_private.legacy_pause())
      over (partition by s.author_id order by s.slot) as n
    from (
      select
        p.slot,
        chat_private.legacy_author(p.author_id) as author_id,
        min(p.author_id::text)::uuid as some_author,
        (array_agg(u.id order by p.first_at, u.id) filter (where u.id is not null))[1] as user_id,
        min(p.first_at) filter (where u.id is not null) as wrote_at,
        min(u.id::text) as least_user,
        max(u.id::text) as most_user,
        count(*) = count(u.id) as known,
        min(p.first_at) as first_at,
        greatest(max(p.last_at), max(p.first_at)) as last_at,
        lag(case when p.slot > '-9223372036854775808'::bigint then greatest(max(p.last_at), max(p.first_at)) end)
          over (partition by chat_private.legacy_author(p.author_id) order by p.slot) as before,
        min(p.opening) as opening,
        min(x.session_id::text)::uuid as session_id
      from chat_private.legacy_parts p
      left join auth.users u on u.id = p.author_id
      left join chat_private.legacy_sessions x
        on x.workspace_id = p.workspace_id and x.author_id = chat_private.legacy_author(p.author_id) and x.slot = p.slot
      where p.workspace_id = w.id
      group by p.slot, chat_private.legacy_author(p.author_id)
    ) s
  ) i
  group by i.author_id, i.n
) m
left join auth.users a on a.id = m.user_id
left join auth.users o on o.id = w.owner_id
left join public.chat_sessions e
  on e.id = chat_private.legacy_session_id(w.id, m.some_author, m.first_at) and e.workspace_id = w.id
cross join lateral (
  select m.slots, chat_private.put_legacy_session(
    coalesce(m.session_id, chat_private.legacy_session_id(w.id, m.some_author, m.first_at)),
    w.id,
    coalesce(case when m.one_author or chat_private.legacy_pause() is not null then a.id end, o.id, a.id, e.user_id),
    m.first_at,
    m.last_at,
    m.title,
    array(
      select x.title from chat_private.legacy_sessions x
      where x.workspace_id = w.id and x.author_id = m.author_id and x.session_id = m.session_id and x.title is not null)
  ) as session_id
  where coalesce(a.id, o.id, e.user_id) is not null
  offset 0
) made
cross join lateral unnest(made.slots) with ordinality as t (slot, n)
where made.session_id is not null
on conflict (workspace_id, author_id, slot) do nothing
returning case when l.title is not null then format('Created legacy session %s for workspace %s', l.session_id, l.workspace_id) end;
