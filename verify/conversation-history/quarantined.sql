--! title: The quarantine is empty
--! fix: rethread quarantine shows the rows and what can be done with them.
--! level: warn
--! after: 005_set_aside_elements
--! mutant: insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
--!   values ('conversation-history', '005_set_aside_elements', 'public.chat_sessions', 'mutant', 'a mutant', '{}')

select q.reason as object, format('sessions or elements in rethread_archive.quarantine: %s', count(*)) as detail
from rethread_archive.quarantine q
where q.track = 'conversation-history'
group by q.reason
order by 1
