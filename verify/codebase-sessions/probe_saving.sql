--! title: Saving by session id, reloading and clearing a history work as expected
--! fix: Each line names what the application would see: compare the triggers and policies with their
--!   migration (rethread verify --only triggers,policies).
--! kind: probe
--! as: owner
--! after: 001_create_codebase_chat_sessions

insert into public.codebase_chat_sessions (session_id, user_id, conversation_history)
values ('chat-2-probe', 'a0000000-7e57-4000-8000-000000000001', '[{"role": "user", "content": "one", "timestamp": 1}]')
on conflict (session_id) do update set conversation_history = excluded.conversation_history;
update public.codebase_chat_sessions set last_activity = '2000-01-01' where session_id = 'chat-2-probe';
update public.codebase_chat_sessions set context_cache = '{"file": 1}' where session_id = 'chat-2-probe';
select set_config('probe.cached', (select (last_activity < '2001-01-01')::text from public.codebase_chat_sessions where session_id = 'chat-2-probe'), true);
insert into public.codebase_chat_sessions (session_id, user_id, conversation_history)
values ('chat-2-probe', 'a0000000-7e57-4000-8000-000000000001', '[{"role": "user", "content": "one", "timestamp": 1}, {"role": "assistant", "content": "two", "timestamp": 2}]')
on conflict (session_id) do update set conversation_history = excluded.conversation_history;
select set_config('probe.saved', (select jsonb_array_length(conversation_history)::text from public.codebase_chat_sessions where session_id = 'chat-2-probe'), true),
  set_config('probe.active', (select (last_activity > '2001-01-01')::text from public.codebase_chat_sessions where session_id = 'chat-2-probe'), true);
update public.codebase_chat_sessions set conversation_history = '[]' where session_id = 'chat-2-probe';
select set_config('probe.cleared', (select jsonb_array_length(conversation_history)::text from public.codebase_chat_sessions where session_id = 'chat-2-probe'), true);

select w.object, format('is %s, should be %s', coalesce(w.found, 'nothing'), w.wanted) as detail
from (values
  ('last_activity left alone by a save of the cache', current_setting('probe.cached'), 'true'),
  ('messages after saving twice', current_setting('probe.saved'), '2'),
  ('last_activity moved by a message', current_setting('probe.active'), 'true'),
  ('messages after clearing', current_setting('probe.cleared'), '0')
) as w (object, found, wanted)
where w.found is distinct from w.wanted
