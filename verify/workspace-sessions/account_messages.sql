--! title: Messages
--! kind: account
--! after: 005_assign_messages

select 'public.chats' as object, c.n + q.taken_out as came_in, c.migrated, q.taken_out + q.left_in_place as quarantined,
  c.n - c.migrated - q.left_in_place as missing
from (select count(*) as n, count(session_id) as migrated from public.chats) c
cross join (
  select count(distinct q.key) filter (where x.id is null) as taken_out,
    count(distinct q.key) filter (where x.id is not null and x.session_id is null) as left_in_place
  from rethread_archive.quarantine q left join public.chats x on chat_private.message_key(x) = q.key
  where q.track = 'workspace-sessions' and q.relation = 'public.chats'
) q
