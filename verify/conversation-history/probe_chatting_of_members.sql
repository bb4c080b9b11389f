--! title: Opening a conversation, writing, reloading and deleting work as expected for two users of a tenant without an admin
--! fix: Each line names what the application would see: compare the triggers and policies with their
--!   migration (rethread verify --only triggers,policies).
--! kind: probe
--! as: owner
--! after: 001_create_conversations
--! without: tenant_users.role

insert into public.conversations (id, tenant_id, user_id) values
  ('f0000000-7e57-4000-8000-000000000001', 'b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001');
insert into public.messages (conversation_id, role, content, created_at) values
  ('f0000000-7e57-4000-8000-000000000001', 'user', 'one', now()),
  ('f0000000-7e57-4000-8000-000000000001', 'assistant', 'two', now() + interval '1 second');
select set_config('probe.title', (select title from public.conversations where id = 'f0000000-7e57-4000-8000-000000000001'), true),
  set_config('probe.messages', (select string_agg(content, ' ' order by created_at) from public.messages where conversation_id = 'f0000000-7e57-4000-8000-000000000001'), true);
-- the same tenant, with another user
select set_config('request.jwt.claims', '{"sub": "a0000000-7e57-4000-8000-000000000002", "role": "authenticated"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-7e57-4000-8000-000000000002', true);
select set_config('probe.others', (select count(*)::text from public.messages where conversation_id = 'f0000000-7e57-4000-8000-000000000001'), true);
delete from public.conversations where id = 'f0000000-7e57-4000-8000-000000000001';
select set_config('request.jwt.claims', '{"sub": "a0000000-7e57-4000-8000-000000000001", "role": "authenticated"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-7e57-4000-8000-000000000001', true);
select set_config('probe.kept', (select count(*)::text from public.conversations where id = 'f0000000-7e57-4000-8000-000000000001'), true);
delete from public.conversations where id = 'f0000000-7e57-4000-8000-000000000001';
select set_config('probe.cascaded', (select count(*)::text from public.messages where conversation_id = 'f0000000-7e57-4000-8000-000000000001'), true);

select w.object, format('is %s, should be %s', coalesce(w.found, 'nothing'), w.wanted) as detail
from (values
  ('title of a new conversation', current_setting('probe.title'), 'New Conversation'),
  ('messages after a reload', current_setting('probe.messages'), 'one two'),
  ('messages that another user of the tenant sees', current_setting('probe.others'), '0'),
  ('conversations left after another user tried to delete', current_setting('probe.kept'), '1'),
  ('messages left of the deleted conversation', current_setting('probe.cascaded'), '0')
) as w (object, found, wanted)
where w.found is distinct from w.wanted
