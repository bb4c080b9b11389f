--! title: Conversations
--! kind: account
--! after: 018_sessions_of_conversations

select 'public.conversations' as object, count(*) as came_in, count(*) filter (where s.there) as migrated,
  count(*) filter (where not s.there and q.there) as quarantined, count(*) filter (where not s.there and not q.there) as missing
from public.conversations c
cross join lateral (select exists (select from public.chat_sessions x where x.conversation_id = c.id) as there) s
cross join lateral (
  select exists (select from rethread_archive.quarantine x where x.relation = 'public.conversations' and x.key = c.id::text) as there
) q
