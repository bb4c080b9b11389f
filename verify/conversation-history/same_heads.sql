--! title: Conversations have the title, the metadata and the owner of their sessions
--! fix: rethread backfill brings the session up to date. What still differs was written while triggers were
--!   off: write the same value to the side that lacks it.
--! after: 006_catch_up
--! until: 007_set_sessions_aside
--! gate: 007_set_sessions_aside
--! mutant: set local rethread.in_step = 'on'; update public.conversations set title = 'mutant'
--!   where id = (select id from public.conversations order by id limit 1);
--!   update public.conversations c set user_id = (select u.id from auth.users u where u.id <> c.user_id order by u.id limit 1)
--!   where id = (select id from public.conversations order by id desc limit 1)
--!     and exists (select from auth.users u where u.id <> c.user_id)

select s.id::text as object, 'its conversation has another title, other metadata or another owner' as detail
from public.chat_sessions s
join public.conversations c on c.id = s.id
where case
  when c.tenant_id = s.tenant_id and c.user_id = s.user_id
  then (c.user_id, c.title, c.metadata) is distinct from (s.user_id, coalesce(s.title, 'New Conversation'), s.metadata)
  -- somebody else's conversation with its id: the backfill has said so
  else not exists (select from rethread_archive.quarantine q where q.relation = 'public.chat_sessions' and q.key = s.id::text) end
order by 1
