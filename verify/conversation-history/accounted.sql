--! title: Every session and every element is a conversation and a message of its text, or is in the quarantine
--! fix: rethread backfill migrates what is pending; rethread quarantine shows what was set aside. Where the
--!   text differs, one side was written while triggers were off: write it to the other side too.
--! after: 005_set_aside_elements
--! until: 007_set_sessions_aside
--! gate: 007_set_sessions_aside

-- Only while the old application exists. Afterwards the array is history, and the messages change.
select s.id::text as object, 'no conversation, not in the quarantine' as detail
from public.chat_sessions s
where not exists (select from public.conversations c where c.id = s.id)
  and not exists (select from rethread_archive.quarantine q where q.relation = 'public.chat_sessions' and q.key = s.id::text)
union all
select s.id::text, format('elements: %s, messages: %s, in the quarantine: %s, with another text: %s', e.n, e.arrived, e.aside, e.differing)
from public.chat_sessions s
join public.conversations c on c.id = s.id
cross join lateral (
  select count(*) as n, count(m.id) as arrived, count(*) filter (where q.key is not null) as aside,
    count(*) filter (where m.id is null and q.key is null) as lost,
    count(*) filter (where x.reason is null and (m.role, m.content) is distinct from (x.role::varchar, x.content) and m.id is not null) as differing
  from chat_private.elements(s.id, s.messages::json, s.created_at) x
  left join public.messages m on m.id = x.id and m.conversation_id = s.id
  left join rethread_archive.quarantine q on q.relation = 'public.chat_sessions' and q.key = s.id || ':' || x.key and x.reason is not null
) e
where e.lost > 0 or e.differing > 0
order by 1
