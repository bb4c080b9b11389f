--! title: Opening a session, writing, reloading, switching, hiding and deleting work as expected
--! fix: Each line names what the application would see: compare the triggers and policies with their
--!   migration (rethread verify --only triggers,policies).
--! kind: probe
--! as: owner
--! after: 011_follow_the_session

-- two sessions, each with its messages
insert into public.chat_sessions (id, workspace_id, user_id) values
  ('f0000000-7e57-4000-8000-000000000001', 'b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001'),
  ('f0000000-7e57-4000-8000-000000000002', 'b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001');
insert into public.chats (workspace_id, user_id, role, message, session_id, created_at) values
  ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'user', 'one', 'f0000000-7e57-4000-8000-000000000001', now()),
  ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'assistant', 'two', 'f0000000-7e57-4000-8000-000000000001', now() + interval '1 second'),
  ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'user', 'three', 'f0000000-7e57-4000-8000-000000000002', now());
select set_config('probe.title', (select title from public.chat_sessions where id = 'f0000000-7e57-4000-8000-000000000001'), true),
  set_config('probe.first', (select string_agg(message::text, ' ' order by created_at) from public.chats where session_id = 'f0000000-7e57-4000-8000-000000000001'), true),
  set_config('probe.second', (select string_agg(message::text, ' ' order by created_at) from public.chats where session_id = 'f0000000-7e57-4000-8000-000000000002'), true);
-- renaming stamps the time
update public.chat_sessions set updated_at = '2000-01-01' where id = 'f0000000-7e57-4000-8000-000000000002';
update public.chat_sessions set title = 'renamed' where id = 'f0000000-7e57-4000-8000-000000000002';
select set_config('probe.stamped', (select (updated_at > '2001-01-01')::text from public.chat_sessions where id = 'f0000000-7e57-4000-8000-000000000002'), true);
-- hiding keeps the row, deleting also deletes the messages
update public.chat_sessions set deleted_at = now() where id = 'f0000000-7e57-4000-8000-000000000002';
select set_config('probe.listed', (select count(*)::text from public.chat_sessions where deleted_at is null and id::text like 'f0000000-7e57-%'), true),
  set_config('probe.kept', (select count(*)::text from public.chats where session_id = 'f0000000-7e57-4000-8000-000000000002'), true);
delete from public.chat_sessions where id = 'f0000000-7e57-4000-8000-000000000001';
select set_config('probe.cascaded', (select count(*)::text from public.chats where session_id = 'f0000000-7e57-4000-8000-000000000001'), true);
-- a second user of the same workspace
select set_config('request.jwt.claims', '{"sub": "a0000000-7e57-4000-8000-000000000002", "role": "authenticated"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-7e57-4000-8000-000000000002', true);
select set_config('probe.others', (select count(*)::text from public.chats where session_id = 'f0000000-7e57-4000-8000-000000000002'), true);

select w.object, format('is %s, should be %s', coalesce(w.found, 'nothing'), w.wanted) as detail
from (values
  ('title of a new session', current_setting('probe.title'), 'New Chat'),
  ('messages of the first session after a reload', current_setting('probe.first'), 'one two'),
  ('messages after switching to the second', current_setting('probe.second'), 'three'),
  ('updated_at stamped by a rename', current_setting('probe.stamped'), 'true'),
  ('sessions listed after one was hidden', current_setting('probe.listed'), '1'),
  ('messages of the hidden session', current_setting('probe.kept'), '1'),
  ('messages left of the deleted session', current_setting('probe.cascaded'), '0'),
  ('messages that a second user sees', current_setting('probe.others'), '0')
) as w (object, found, wanted)
where w.found is distinct from w.wanted
