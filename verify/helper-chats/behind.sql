--! title: Every message has brought its session up to date
--! fix: rethread backfill brings these sessions up to date.
--! after: 002_keep_sessions_current
--! mutant: insert into chat_private.behind (session_id, operation, sqlstate) select id, 'INSERT', '55P03' from public.chat_sessions limit 1

-- `rethread migrate` and `rethread backfill` bring these sessions up to date; so does the next message of
-- each of them.
select b.session_id::text as object, format('%s, count: %s, SQLSTATE %s', b.operation, count(*), min(b.sqlstate)) as detail
from chat_private.behind b
where b.caught_up_at is null and (exists (select from public.chat_sessions s where s.id = b.session_id)
  or exists (select from chat_private.kept_chats k where k.session_id = b.session_id))
group by b.session_id, b.operation
order by 1, 2
