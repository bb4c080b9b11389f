--! title: No conversation looks older than its newest message
--! fix: Compare the triggers with their migration (rethread verify --only triggers); the next message of
--!   the conversation sets its time.
--! after: 002_keep_both_in_step
--! mutant: update chat_private.times_kept set since = '-infinity';
--!   update public.conversations set updated_at = '2000-01-01'

-- Only for messages written since the triggers exist. The backfill keeps the time of every session.
select c.id::text as object, format('its newest message is of %s, it says %s', n.created_at, coalesce(c.updated_at::text, 'nothing')) as detail
from public.conversations c
cross join lateral (
  select m.created_at from public.messages m
  where m.conversation_id = c.id and m.created_at > (select k.since from chat_private.times_kept k)
  order by m.created_at desc limit 1
) n
where coalesce(c.updated_at, '-infinity') < n.created_at
order by 1
