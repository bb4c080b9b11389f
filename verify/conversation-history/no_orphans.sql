--! title: Every message has a conversation, and every conversation has an owner
--! fix: Restore the missing row (rethread restore, or a backup), or delete what refers to it.
--! after: 001_create_conversations

-- A valid foreign key is no proof: replication, or a validation under row security, can skip rows.
select 'messages ' || m.id as object, 'its conversation does not exist' as detail
from public.messages m where not exists (select from public.conversations c where c.id = m.conversation_id)
union all
select 'conversations ' || c.id, 'its tenant does not exist'
from public.conversations c where not exists (select from public.tenants t where t.id = c.tenant_id)
union all
select 'conversations ' || c.id, 'its user does not exist'
from public.conversations c where not exists (select from auth.users u where u.id = c.user_id)
order by 1
