--! title: The quarantine is empty
--! fix: rethread quarantine shows the messages and what can be done with them.
--! level: warn
--! after: 005_assign_messages
--! mutant: insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
--!   values ('workspace-sessions', '009_set_aside_unassigned', 'public.chats', 'mutant', 'a mutant', '{}')

select q.reason as object, format('messages in rethread_archive.quarantine: %s', count(distinct q.key)) as detail
from rethread_archive.quarantine q
where q.track = 'workspace-sessions'
  and (q.migration = '009_set_aside_unassigned'
    or exists (select from public.chats c where chat_private.message_key(c.*) = q.key and c.session_id is null))
group by q.reason
order by 1
