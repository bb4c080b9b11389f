--! title: Nothing waits in the quarantine
--! level: warn
--! after: 005_set_aside_elements

select q.reason as object, format('%s session(s) or element(s) in rethread_archive.quarantine', count(*)) as detail
from rethread_archive.quarantine q
where q.track = 'conversation-history'
group by q.reason
order by 1
