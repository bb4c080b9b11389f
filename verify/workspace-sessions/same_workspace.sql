--! title: The session of every message exists, and belongs to the workspace of the message
--! fix: Correct workspace_id of the message, or give it a session of its own workspace: update ... set
--!   session_id.
--! after: 005_assign_messages

-- If sessions have many messages and not every row must be read, it goes from session to session along the
-- index: entries below and above the session's own workspace belong to another one. Otherwise one pass over
-- all messages. An anti-join of two columns, for which the server expects few rows, can use several workers.
-- Both ways prove the foreign key again. A message without a workspace is in no other workspace.
with recursive way as not materialized (
  select coalesce(bool_or(i.indisvalid and i.indisready), false)
    and coalesce(current_setting('rethread.deep', true), 'no') = 'no'
    and (select sum(case c.oid when to_regclass('public.chats') then c.reltuples else c.reltuples * -20 end) > 0
         from pg_catalog.pg_class c where c.oid in (to_regclass('public.chats'), to_regclass('public.chat_sessions'))) as by_index
  from pg_catalog.pg_index i
  where i.indexrelid = to_regclass('public.idx_chats_session_id')
    and pg_get_indexdef(i.indexrelid) like '%USING btree (session_id, workspace_id)'
),
met as (
  select (select c.session_id from public.chats c where c.session_id is not null order by c.session_id limit 1) as id
  where (select y.by_index from way y)
  union all
  select (select c.session_id from public.chats c where c.session_id > m.id order by c.session_id limit 1)
  from met m
  where m.id is not null
),
astray as (
  select b.id, m.id as session_id, b.workspace_id, s.id is not null as stands, s.workspace_id as wanted
  from met m
  left join public.chat_sessions s on s.id = m.id
  cross join lateral (
    select c.id, c.workspace_id from public.chats c where c.session_id = m.id and s.id is null
    union all
    select c.id, c.workspace_id from public.chats c where c.session_id = m.id and c.workspace_id < s.workspace_id
    union all
    select c.id, c.workspace_id from public.chats c where c.session_id = m.id and c.workspace_id > s.workspace_id
  ) b
  union all
  select c.id, c.session_id, c.workspace_id, s.id is not null, s.workspace_id
  from public.chats c
  left join public.chat_sessions s on s.id = c.session_id
  where not (select y.by_index from way y)
    and c.session_id is not null
    and not exists (
      select from public.chat_sessions o where o.id = c.session_id and o.workspace_id = c.workspace_id)
    and (c.workspace_id is not null or s.id is null)
)
select a.id::text as object,
  case when a.stands then format('message of workspace %s in a session of workspace %s', a.workspace_id, a.wanted)
    else format('its session %s does not exist', a.session_id) end as detail
from astray a
