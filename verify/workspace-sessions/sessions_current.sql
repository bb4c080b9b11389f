--! title: No session has a time before that of its newest message
--! fix: select chat_private.catch_up(id) of the session; compare the triggers with their migration
--!   (rethread verify --only triggers).
--! after: 006_index_and_constrain
--! mutant: update public.chat_sessions set updated_at = '2000-01-01'

select s.id::text as object, format('its newest message is of %s, it says %s', n.created_at, s.updated_at) as detail
from public.chat_sessions s
cross join lateral (
  select c.created_at from public.chats c
  where c.session_id = s.id and c.created_at is not null
  order by c.created_at desc limit 1
) n
where s.updated_at < n.created_at
order by 1
