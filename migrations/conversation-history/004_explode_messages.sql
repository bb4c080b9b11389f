--! title: Create a message from every element of the messages arrays
--! phase: backfill
--! undone-by: 001_create_conversations
--! table: public.chat_sessions
--! unit: tenant_id
--! key: id
--! pending: exists (select from public.conversations c where c.id = s.id and c.tenant_id = s.tenant_id and c.user_id = s.user_id) and exists (
--!   select from chat_private.elements(s.id, s.messages::json, s.created_at) e
--!   where e.reason is null and not exists (select from public.messages m where m.id = e.id and m.conversation_id = s.id)
--!     and e.id <> all (array(
--!       select unnest(b.had) from chat_private.behind b
--!       where b.session_id = s.id and b.written_by = 'new application' and b.caught_up_at is null)))

-- What the new application has deleted while nobody could write the session is still an element. 006 comes
-- to it.
with quiet as (select set_config('rethread.in_step', 'on', true) as on_)
insert into public.messages (id, conversation_id, role, content, metadata, created_at)
select e.id, c.id, e.role, e.content, e.metadata, e.created_at
from public.chat_sessions s
cross join quiet
join public.conversations c on c.id = s.id and c.tenant_id = s.tenant_id and c.user_id = s.user_id
cross join lateral chat_private.elements(s.id, s.messages::json, s.created_at) e
where quiet.on_ = 'on' and e.reason is null
  and e.id <> all (array(
    select unnest(b.had) from chat_private.behind b
    where b.session_id = s.id and b.written_by = 'new application' and b.caught_up_at is null))
on conflict (id) do nothing;
