--! title: Every session shows the time of its newest message
--! after: 002_keep_sessions_current
--! mutant: update public.chat_sessions set last_message_at = null

-- what the trigger does shows in the rows, whoever wrote them
select s.id::text as object,
  format('its newest message is of %s, it says %s', n.created_at, coalesce(s.last_message_at::text, 'nothing')) as detail
from public.chat_sessions s
cross join lateral (
  select m.created_at from public.chat_messages m where m.session_id = s.id order by m.created_at desc limit 1
) n
where s.last_message_at is null or s.last_message_at < n.created_at
order by 1
