--! title: Conversations have the messages of their sessions, in the same order
--! fix: rethread backfill brings the session up to date; what still differs, compare by hand in
--!   chat_sessions and messages.
--! after: 005_set_aside_elements
--! until: 007_set_sessions_aside

select s.id::text as object,
  case when h.here = h.there then 'the order differs' else format('messages that differ: %s of %s', h.differing, h.n) end as detail
from public.chat_sessions s
cross join lateral (
  select count(*) as n,
    count(*) filter (where (m.role, m.content) is distinct from (e.role::varchar, e.content)) as differing,
    sum(hashtextextended(e.role || e.content, 0)::numeric) as here,
    sum(hashtextextended(m.role || m.content, 0)::numeric) as there,
    array_agg(e.id order by e.n) as array_order,
    array_agg(e.id order by m.created_at, e.n) as time_order
  from chat_private.elements(s.id, s.messages::json, s.created_at) e
  left join public.messages m on m.id = e.id and m.conversation_id = s.id
  where e.reason is null
) h
-- rows without a conversation are in the quarantine, which `accounted` checks
where exists (select from public.conversations c where c.id = s.id)
  and (h.here is distinct from h.there or h.array_order is distinct from h.time_order)
order by 1
