--! title: Messages
--! kind: account
--! after: 005_assign_messages

select 'public.chats' as object, c.n + q.taken_out as came_in, c.migrated, q.taken_out + q.left_in_place as quarantined,
  c.failed, c.n - c.migrated - q.left_in_place - c.failed as missing
from (
  select count(*) as n, count(x.session_id) as migrated,
    count(*) filter (where x.session_id is null and f.key is not null and not exists (
      select from rethread_archive.quarantine q
      where q.track = 'workspace-sessions' and q.relation = 'public.chats' and q.key = x.id::text)) as failed
  from public.chats x
  left join (
    select distinct f.key
    from jsonb_to_recordset(coalesce(nullif(current_setting('rethread.failed', true), ''), '[]')::jsonb) as f (relation text, key text)
    where f.relation = 'public.chats'
  ) f on f.key = x.id::text
) c
cross join (
  select count(distinct q.key) filter (where x.id is null) as taken_out,
    count(distinct q.key) filter (where x.id is not null and x.session_id is null) as left_in_place
  from rethread_archive.quarantine q left join public.chats x on chat_private.message_key(x.*) = q.key
  where q.track = 'workspace-sessions' and q.relation = 'public.chats'
) q
