--! title: Opening a session for a conversation, its trip, its states and the default filters work as expected
--! fix: Each line names what the application would see: compare the triggers and policies with their
--!   migration (rethread verify --only triggers,policies).
--! kind: probe
--! as: owner
--! after: 017_create_chat_sessions

select set_config('probe.id', public.create_or_update_chat_session('e0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'b0000000-7e57-4000-8000-000000000001')::text, true);
select set_config('probe.again', public.create_or_update_chat_session('e0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'b0000000-7e57-4000-8000-000000000001')::text, true);
select public.set_chat_session_trip(current_setting('probe.id')::uuid, 'probe-trip');
select set_config('probe.trip', (select count(*)::text from public.chat_sessions where avinode_trip_id = 'probe-trip'), true),
  set_config('probe.open', (select count(*)::text from public.chat_sessions where status in ('active', 'paused')), true);
select public.complete_chat_session(current_setting('probe.id')::uuid);
select set_config('probe.left', (select count(*)::text from public.chat_sessions where status in ('active', 'paused')), true),
  set_config('probe.ended', (select (session_ended_at is not null)::text from public.chat_sessions where id = current_setting('probe.id')::uuid), true);
select set_config('request.jwt.claims', '{"sub": "probe_outsider", "role": "authenticated"}', true);
select set_config('probe.others', (select count(*)::text from public.chat_sessions where avinode_trip_id = 'probe-trip'), true);

select w.object, format('is %s, should be %s', coalesce(w.found, 'nothing'), w.wanted) as detail
from (values
  ('the session made for the same conversation again', current_setting('probe.again'), current_setting('probe.id')),
  ('sessions found by their trip', current_setting('probe.trip'), '1'),
  ('sessions open by default', current_setting('probe.open'), '1'),
  ('sessions open after completing it', current_setting('probe.left'), '0'),
  ('an end after completing', current_setting('probe.ended'), 'true'),
  ('sessions that another agent sees', current_setting('probe.others'), '0')
) as w (object, found, wanted)
where w.found is distinct from w.wanted
