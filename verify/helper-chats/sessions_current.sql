--! title: Every session shows the time and the beginning of its newest message
--! fix: select chat_private.catch_up(id) of the session; compare the triggers with their migration
--!   (rethread verify --only triggers).
--! after: 002_keep_sessions_current
--! mutant: update public.chat_sessions set last_message_at = null

-- Compares the rows. If several messages have the newest time, any may be the newest.
select s.id::text as object,
  case when s.last_message_at is distinct from n.created_at or s.updated_at < n.created_at
    then format('its newest message is of %s, it says %s, and %s for its own time',
      coalesce(n.created_at::text, 'nothing'), coalesce(s.last_message_at::text, 'nothing'), s.updated_at)
    else 'its preview is not that of its newest message' end as detail
from public.chat_sessions s
left join lateral (
  select m.created_at from public.chat_messages m where m.session_id = s.id order by m.created_at desc limit 1
) n on true
where s.last_message_at is distinct from n.created_at
  or s.updated_at < n.created_at
  or n.created_at is null and s.last_message_preview is not null
  or n.created_at is not null and not exists (
    select from public.chat_messages m
    where m.session_id = s.id and m.created_at = n.created_at and left(m.content, 100) = s.last_message_preview)
order by 1
