--! title: Messages that only their author can read now, and that somebody else will read
--! kind: outlook
--! level: warn
--! until: 001_create_chat_sessions
--! hazard: SHOWS_ROWS
--! at: 001_create_chat_sessions
--! unless-set: legacy_grouping

-- If policies compare a message's author, only the author reads it. The legacy session of a whole workspace
-- belongs to its owner, who reads all of it. A session that ends with a pause is read by its first author.
with private as (
  select from pg_catalog.pg_class k
  where k.oid = 'public.chats'::regclass and k.relrowsecurity and exists (
    select from pg_catalog.pg_policy p
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid
      and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = p.polrelid
    join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where p.polrelid = k.oid and p.polpermissive and p.polcmd in ('*', 'r') and a.attname = 'user_id')
)
select 'messages of other authors' as object,
  format('messages: %s, workspaces: %s; what only its author can read now %s. Choose the setting legacy_grouping: `author` leaves each author their own messages, `workspace` shows them to the owner, `idle:8h` to the first author of the session',
    sum(m.messages), count(*),
    case when a.by_pause then 'will be read by the first author of its session, which ends with a pause'
      else 'will be read by the owner of the workspace' end) as detail
from (
  select coalesce(current_setting('rethread.legacy_grouping', true), '') like 'idle:%' as by_pause,
    coalesce(current_setting('rethread.legacy_grouping', true), '') = 'author' as by_author
) a
cross join (
  select c.workspace_id, count(*) filter (where c.user_id <> w.owner_id) as messages
  from public.chats c
  join public.workspaces w on w.id = c.workspace_id
  join auth.users u on u.id = w.owner_id
  group by c.workspace_id
  having count(distinct c.user_id) > 1
) m
where not a.by_author and exists (select from private)
group by a.by_pause
having count(*) > 0
union all
select 'messages without an author',
  format('messages: %s; the owner of the %s will read them', count(*),
    case when coalesce(current_setting('rethread.legacy_grouping', true), '') like 'idle:%' then 'session' else 'workspace' end)
from public.chats c
join public.workspaces w on w.id = c.workspace_id
join auth.users u on u.id = w.owner_id
where c.user_id is null and exists (select from private)
having count(*) > 0
order by 1
