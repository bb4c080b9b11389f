--! title: Elements have no ids except those that the database gave them in their session
--! fix: Nothing: such ids are ignored.
--! level: info
--! after: 002_keep_both_in_step
--! until: 007_set_sessions_aside
--! mutant: set local rethread.in_step = 'on'; update public.chat_sessions set messages = '[{"role": "user", "content": "x", "rethread_id": "00000000-0000-0000-0000-000000000000"}]' where id = (select s.id from public.chat_sessions s order by s.id limit 1)

-- Such ids come from a copied chat, or from a user who tried to get a message of others. They are ignored:
-- the elements have other ids.
select s.id::text as object,
  format('elements with an id that is not theirs, as after a copy of another chat: %s; they are messages under ids of their own', count(*)) as detail
from public.chat_sessions s
cross join rethread_archive.message_keys k
cross join lateral json_array_elements(
  case when json_typeof(s.messages::json) = 'array' and chat_private.why_unreadable(s.messages::text) is null then s.messages::json else '[]' end) as e (element)
where s.messages::text like '%rethread_id%'
  and k.track = 'conversation-history'
  and json_typeof(e.element) = 'object' and e.element ->> 'rethread_id' is not null
  and e.element ->> 'rethread_seal' is distinct from chat_private.seal(k.secret, s.id, e.element ->> 'rethread_id')
group by s.id
order by 1
