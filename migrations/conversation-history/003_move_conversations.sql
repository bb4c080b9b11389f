--! title: Give every session its conversation, with the same id
--! phase: backfill
--! undone-by: 001_create_conversations
--! table: public.chat_sessions
--! unit: tenant_id
--! key: id
--! pending: not exists (select from public.conversations c where c.id = s.id and c.tenant_id = s.tenant_id and c.user_id = s.user_id)
--! reason: case
--!   when s.tenant_id is null then 'it has no tenant'
--!   when s.user_id is null then 'it has no user'
--!   when not exists (select from public.tenants t where t.id = s.tenant_id) then 'its tenant was deleted'
--!   when not exists (select from auth.users u where u.id = s.user_id) then 'its user was deleted'
--!   when exists (select from public.conversations c where c.id = s.id) then 'a conversation of somebody else has its id' end

-- The triggers that keep both in step would write each session back; what is copied needs no following.
with quiet as (select set_config('rethread.in_step', 'on', true) as on_)
insert into public.conversations (id, tenant_id, user_id, title, metadata, created_at, updated_at)
select s.id, s.tenant_id, s.user_id, coalesce(s.title, 'New Conversation'), s.metadata, s.created_at, coalesce(s.updated_at, s.created_at)
from public.chat_sessions s
cross join quiet
join public.tenants t on t.id = s.tenant_id
join auth.users u on u.id = s.user_id
where quiet.on_ = 'on'
on conflict (id) do nothing;
