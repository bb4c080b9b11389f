--! title: No conversation has a time before that of its newest message
--! fix: Compare the triggers with their migration (rethread verify --only triggers); the next message of
--!   the conversation sets its time.
--! after: 002_keep_both_in_step
--! mutant: update chat_private.times_kept set since = '-infinity';
--!   insert into public.messages (conversation_id, role, content) select c.id, 'user', 'late' from public.conversations c;
--!   update public.conversations set updated_at = '2000-01-01'

-- Of messages written since the triggers are there: the backfill leaves every conversation the time that its
-- session had. Some of its messages may be of a time to come: of a clock that is fast, or without a zone.
with backfilled as (
  select distinct ((x.xid::text)::numeric % 4294967296)::text as xmin
  from rethread.batches x
  join rethread.backfills b on b.id = x.backfill
  where b.track = 'conversation-history' and b.migration = '004_explode_messages'
)
select c.id::text as object, format('its newest message is of %s, it says %s', n.created_at, coalesce(c.updated_at::text, 'nothing')) as detail
from public.conversations c
cross join lateral (
  select m.created_at from public.messages m
  where m.conversation_id = c.id and m.created_at > (select k.since from chat_private.times_kept k)
    and m.xmin::text not in (select w.xmin from backfilled w)
  order by m.created_at desc limit 1
) n
where coalesce(c.updated_at, '-infinity') < n.created_at
order by 1
