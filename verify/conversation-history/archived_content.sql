--! title: The text of the archived sessions is in the conversations, in the same order
--! fix: Compare with rethread_archive.chat_sessions, from which lost messages can be copied back.
--! level: warn
--! deep: yes
--! after: 007_set_sessions_aside
--! mutant: delete from public.messages where id = (select m.id from public.messages m join rethread_archive.chat_sessions s on s.id = m.conversation_id
--!   order by m.created_at limit 1)

-- Users continue to edit and delete, so a difference is no error by itself.
select s.id::text as object,
  concat_ws(', ',
    case when h.gone > 0 then format('deleted since, or lost: %s of %s messages', h.gone, h.n) end,
    case when h.elsewhere > 0 then format('%s in another conversation', h.elsewhere) end,
    case when h.edited > 0 then format('%s edited since', h.edited) end,
    case when h.array_order is distinct from h.time_order then 'the order differs' end) as detail
from rethread_archive.chat_sessions s
cross join lateral (
  select count(*) as n, count(*) filter (where m.id is null) as gone,
    count(*) filter (where m.conversation_id <> s.id) as elsewhere,
    count(*) filter (where (m.role, m.content) is distinct from (e.role::varchar, e.content) and m.id is not null) as edited,
    array_agg(m.id order by e.n) filter (where m.id is not null) as array_order,
    array_agg(m.id order by m.created_at, e.n) filter (where m.id is not null) as time_order
  from chat_private.elements(s.id, s.messages::json, s.created_at) e
  left join public.messages m on m.id = e.id
  where e.reason is null
) h
where exists (select from public.conversations c where c.id = s.id)
  and (h.gone > 0 or h.elsewhere > 0 or h.edited > 0 or h.array_order is distinct from h.time_order)
union all
select s.id::text, 'its conversation was deleted since, or lost'
from rethread_archive.chat_sessions s
where not exists (select from public.conversations c where c.id = s.id)
  and not exists (select from rethread_archive.quarantine q where q.relation = 'public.chat_sessions' and q.key = s.id::text)
order by 1
