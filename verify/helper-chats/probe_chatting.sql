--! title: Sessions with two helpers, titles, previews, switching and deleting work as expected
--! fix: Each line names what the application would see: compare the triggers and policies with their
--!   migration (rethread verify --only triggers,policies).
--! kind: probe
--! as: owner
--! after: 002_keep_sessions_current

-- the owner has one session from the access file; with a limit of two sessions a user this is the second
insert into public.chat_sessions (id, user_id, project_id, helper)
select 'f0000000-7e57-4000-8000-000000000002', s.user_id, s.project_id, s.helper
from public.chat_sessions s where s.id = 'c0000000-7e57-4000-8000-000000000001';
insert into public.chat_messages (session_id, role, content, created_at) values
  ('c0000000-7e57-4000-8000-000000000001', 'user', 'How do I plan?', now() + interval '1 second'),
  ('c0000000-7e57-4000-8000-000000000001', 'assistant', repeat('x', 150), now() + interval '2 seconds'),
  ('c0000000-7e57-4000-8000-000000000001', 'user', 'from long ago', now() - interval '1 year'),
  ('f0000000-7e57-4000-8000-000000000002', 'user', 'Another helper', now());
select set_config('probe.title', (select title from public.chat_sessions where id = 'c0000000-7e57-4000-8000-000000000001'), true),
  set_config('probe.preview', (select last_message_preview from public.chat_sessions where id = 'c0000000-7e57-4000-8000-000000000001'), true),
  set_config('probe.forward', (select (last_message_at >= now())::text from public.chat_sessions where id = 'c0000000-7e57-4000-8000-000000000001'), true),
  set_config('probe.switched', (select string_agg(content, ' ') from public.chat_messages where session_id = 'f0000000-7e57-4000-8000-000000000002'), true);
delete from public.chat_sessions where id = 'c0000000-7e57-4000-8000-000000000001';
select set_config('probe.cascaded', (select count(*)::text from public.chat_messages where session_id = 'c0000000-7e57-4000-8000-000000000001'), true);
select set_config('request.jwt.claims', '{"sub": "a0000000-7e57-4000-8000-000000000003", "role": "authenticated"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-7e57-4000-8000-000000000003', true);
select set_config('probe.others', (select count(*)::text from public.chat_messages where session_id = 'f0000000-7e57-4000-8000-000000000002'), true);

select w.object, format('is %s, should be %s', coalesce(w.found, 'nothing'), w.wanted) as detail
from (values
  ('title made from the first message', current_setting('probe.title'), 'probe: owner'),
  ('preview of the last message', current_setting('probe.preview'), repeat('x', 100)),
  ('last_message_at not moved back by history', current_setting('probe.forward'), 'true'),
  ('messages after switching to the other helper', current_setting('probe.switched'), 'Another helper'),
  ('messages left of the deleted session', current_setting('probe.cascaded'), '0'),
  ('messages that a second user sees', current_setting('probe.others'), '0')
) as w (object, found, wanted)
where w.found is distinct from w.wanted
