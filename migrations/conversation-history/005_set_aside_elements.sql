--! title: Copy what cannot become a message to the quarantine, with the reason
--! phase: backfill
--! undone-by: 001_create_conversations
--! table: public.chat_sessions
--! unit: tenant_id
--! key: id
--! pending: (exists (select from public.conversations c where c.id = s.id) and exists (
--!   select from chat_private.elements(s.id, s.messages::json, s.created_at) e
--!   where e.reason is not null and not exists (
--!     select from rethread_archive.quarantine q where q.relation = 'public.chat_sessions' and q.key = s.id || ':' || e.key))
--!   or not chat_private.keeps_messages(s.messages::json) and not exists (
--!     select from rethread_archive.quarantine q where q.relation = 'public.chat_sessions' and q.key = s.id || ':0'))

insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
select 'conversation-history', '005_set_aside_elements', 'public.chat_sessions', s.id || ':' || e.key, e.reason, to_jsonb(e.original)
from public.chat_sessions s
cross join lateral (
  select x.key, x.reason, x.original from chat_private.elements(s.id, s.messages::json, s.created_at) x where x.reason is not null
  union all
  select '0', coalesce(case when json_typeof(s.messages::json) = 'object' then chat_private.why_unreadable(s.messages::text) end,
      'messages is no array but ' || json_typeof(s.messages::json)), s.messages::text
  where not chat_private.keeps_messages(s.messages::json)
) e
where e.key = '0' or exists (select from public.conversations c where c.id = s.id)
on conflict do nothing;
