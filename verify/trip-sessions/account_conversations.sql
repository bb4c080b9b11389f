--! title: Conversations
--! kind: account
--! after: 018_sessions_of_conversations

select 'public.conversations' as object, count(*) as came_in, count(*) filter (where s.there) as migrated,
  count(*) filter (where not s.there and q.there) as quarantined,
  count(*) filter (where not s.there and not q.there and f.key is not null) as failed,
  count(*) filter (where not s.there and not q.there and f.key is null) as missing
from public.conversations c
cross join lateral (
  -- a conversation that was pruned had its session
  select exists (select from public.chat_sessions x where x.conversation_id = c.id)
    or exists (select from chat_private.pruned p where p.conversation_id = c.id) as there
) s
cross join lateral (
  select exists (select from rethread_archive.quarantine x where x.relation = 'public.conversations' and x.key = c.id::text) as there
) q
left join (
  select distinct f.key
  from jsonb_to_recordset(coalesce(nullif(current_setting('rethread.failed', true), ''), '[]')::jsonb) as f (relation text, key text)
  where f.relation = 'public.conversations'
) f on f.key = c.id::text
