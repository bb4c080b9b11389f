--! title: Every write of the old application has reached the new tables
--! fix: rethread backfill brings these sessions up to date. Where a session is gone, delete its conversation
--!   as well, or make the session again: select chat_private.catch_up(id).
--! after: 002_keep_both_in_step
--! until: 007_set_sessions_aside
--! gate: 007_set_sessions_aside
--! mutant: insert into chat_private.behind (session_id, written_by, operation, sqlstate)
--!   select id, 'old application', 'UPDATE', '22001' from public.conversations limit 1

-- `rethread migrate` and `rethread backfill` bring these sessions up to date; so does the
-- next write to each of them.
select b.session_id::text as object, format('%s by the %s, count: %s, SQLSTATE %s', b.operation, b.written_by, count(*), min(b.sqlstate)) as detail
from chat_private.behind b
where b.caught_up_at is null
group by b.session_id, b.operation, b.written_by
union all
-- triggers were disabled, or one partition was truncated: it is unknown whether it was deleted on purpose. An
-- empty table counts as deleted long ago; TRUNCATE has a trigger
select c.id::text, 'its session is gone, and no trigger saw it go'
from public.conversations c
where not exists (select from public.chat_sessions s where s.id = c.id)
  and exists (select from public.chat_sessions)
  and not exists (select from chat_private.behind b where b.session_id = c.id and b.caught_up_at is null)
order by 1, 2
