-- The new application saves by session_id, again and again, and clears a history.
insert into public.codebase_chat_sessions (session_id, user_id, repo, conversation_history)
select 'chat-17056224' || lpad(n::text, 5, '0') || '-abc' || n, md5('user ' || (n % 10 + 1))::uuid, 'org/repo-' || (n % 20 + 1),
  jsonb_build_array(jsonb_build_object('role', 'user', 'content', 'question ' || n, 'timestamp', 1705622400000 + n))
from generate_series(1, coalesce(nullif(current_setting('demo.writes', true), ''), '1000')::int) n
on conflict (session_id) do update
set conversation_history = excluded.conversation_history, repo = excluded.repo;
update public.codebase_chat_sessions set conversation_history = '[]' where session_id = 'chat-1705622400001-abc1';
